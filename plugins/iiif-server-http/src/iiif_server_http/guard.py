"""Connections that reach allowed addresses only, whatever the DNS says.

A name is resolved once for each connection, every address that comes back is checked, and one of these very
addresses is connected to. A second check sits where the socket is made: it sees what is really connected to,
also for hosts that are written as numbers.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from iiif_server_http.addresses import Network, is_allowed


class ForbiddenAddress(OSError):
    """A host has an address that must not be connected to."""


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those with any address that is not allowed.

    Args:
        private: networks that are allowed although they are not public.
        seconds: for one look-up.
        resolver: asks the system by default.
    """

    def __init__(
        self, private: Sequence[Network], seconds: float, resolver: AbstractResolver | None = None
    ) -> None:
        self._private = private
        self._seconds = seconds
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See ``AbstractResolver``.

        Raises:
            OSError: there is no such host, or one of its addresses is forbidden.
            TimeoutError: nobody answers.
        """
        async with asyncio.timeout(self._seconds):
            found = await self._resolver.resolve(host, port, family)
        for each in found:
            check(each["host"], self._private)
        return found

    async def close(self) -> None:
        """See ``AbstractResolver``."""
        await self._resolver.close()


def check(address: str, private: Sequence[Network]) -> None:
    """Refuse an address that is not allowed.

    Raises:
        ForbiddenAddress: it is not, or it is none.
    """
    try:
        allowed = is_allowed(address, private)
    except ValueError:
        allowed = False
    if not allowed:
        raise ForbiddenAddress(
            errno.EACCES, f"{address} is not to be connected to; see the option allow_private"
        )


def guarded_connector(
    private: Sequence[Network],
    *,
    limit: int,
    seconds: float,
    tls: ssl.SSLContext,
    resolver: AbstractResolver | None = None,
) -> TCPConnector:
    """A connector for allowed addresses only.

    No connection is used twice: what an origin sends behind an answer is never taken for the next one, and
    each request has its address checked.

    Args:
        private: networks that are allowed although they are not public.
        limit: connections at the same time.
        seconds: for one look-up of a name.
        tls: what certificates are checked against.
        resolver: asks the system by default.
    """

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        check(address[0], private)
        return socket.socket(family=family, type=kind, proto=protocol)

    return TCPConnector(
        resolver=GuardedResolver(private, seconds, resolver),
        use_dns_cache=False,
        force_close=True,
        limit=limit,
        ssl=tls,
        socket_factory=make_socket,
    )

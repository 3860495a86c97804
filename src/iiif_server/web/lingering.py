"""Connections that there is no place for: told so, and kept until their clients have read it."""

from __future__ import annotations

import asyncio
from typing import Final

LINGERING_SECONDS: Final = 2.0
"""For a body that is refused, or a connection: closed at once, it would take the answer with it."""

_MOST_REFUSED: Final = 128


class Refused:
    """Connections that there is no place for: each is told so, and closed when that has been read.

    Closed at once, a connection on which a request is on its way is reset, and the client reads nothing.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()

    def add(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Answer and close, within a moment; if there are very many, at once."""
        lingers = len(self._open) < _MOST_REFUSED
        if lingers:
            self._open.add(transport)
        transport.set_protocol(_RefusedProtocol(self._open, transport))
        transport.write(answer)
        if lingers and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def close(self) -> None:
        """Close what is left."""
        for transport in list(self._open):
            transport.abort()


class _RefusedProtocol(asyncio.Protocol):
    """Reads nothing of what comes, until the client closes or the time is over."""

    def __init__(self, open_ones: set[asyncio.Transport], transport: asyncio.Transport) -> None:
        self._open = open_ones
        self._transport = transport
        self._end = asyncio.get_running_loop().call_later(LINGERING_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._end.cancel()
        self._open.discard(self._transport)

"""The sockets that connections come in by. Made once, whatever processes and applications use them."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from iiif_server.errors import ConfigurationError

BACKLOG: Final = 1024
"""How many connections may wait to be taken; the system may allow fewer."""

_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""A name may stand for an address of a family that this machine does not use."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that a host name stands for, all with the same port.

    Args:
        host: a name or an address; empty for all of this machine.
        port: 0 picks a free one.

    Raises:
        ConfigurationError: this can't be done; no socket is left open.
    """
    sockets: list[socket.socket] = []
    refusal: OSError | None = None
    with ExitStack() as undo:
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                try:
                    sock = _listen_at(family, (address[0], port, *address[2:]))
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise
                    refusal = error
                    continue
                sockets.append(undo.enter_context(sock))
                port = sock.getsockname()[1]
            if refusal is not None and not sockets:
                raise refusal
        except OSError as error:
            reason = error.strerror or error
            raise ConfigurationError([f"Can't listen on {host} port {port}: {reason}"]) from None
        undo.pop_all()
    return sockets


def _listen_at(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # Connections of a server that has just ended must not keep the port from its successor.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def announce(sockets: Sequence[socket.socket]) -> None:
    """Print the addresses: from now on the server answers."""
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        print(f"iiif-server is ready: http://{_bracketed(host)}:{port}/", flush=True)  # noqa: T201


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

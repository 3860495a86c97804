"""Taking connections, so that each of the server's processes has as many as the others.

See docs/adr/0018-connections-in-turns.md.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Callable
from typing import Final

from iiif_server.caches.throttle import ThrottledLog
from iiif_server.serving.tally import Tally

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""Connections that are taken before the event loop does something else."""

_TURN_SECONDS: Final = 0.001
_PATIENCE: Final = 5
"""So often a process that has more connections than another leaves new ones to that for so long."""

_BUSY_SECONDS: Final = 0.1
"""Others that have not taken what was left to them are busy: for so long, nothing more is left to them."""

_EXHAUSTED_SECONDS: Final = 1.0

_PASSING: Final = {
    getattr(errno, name, 0)
    for name in (
        *("EAGAIN", "EWOULDBLOCK", "EINTR", "ECONNABORTED", "EPERM", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET", "ETIMEDOUT"),
    )
}
"""There was no connection, or it is gone already; accept(2) also tells of its errors."""


class Acceptor:
    """Takes the connections of a listening socket until it is closed.

    Every process is woken by a new connection. One that has more connections than another leaves it alone for
    a moment; connections that are kept stay where they are, so this is when they can be shared.

    Args:
        sock: that listens; others may use it as well.
        factory: makes the protocol of a connection.
        tally: of the connections of all processes.
    """

    def __init__(
        self, sock: socket.socket, factory: Callable[[], asyncio.BaseProtocol], tally: Tally
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock.dup()
        self._factory = factory
        self._tally = tally
        self._waiting = select.poll()
        self._waiting.register(self._sock, select.POLLIN)
        self._connecting: set[asyncio.Task[None]] = set()
        self._busy_until = 0.0
        self._resting: asyncio.TimerHandle | None = None
        self._log = ThrottledLog(logger)
        self._loop.add_reader(self._sock, self._take_turn)

    def close(self) -> None:
        """Take no more; may be called again."""
        if self._sock.fileno() < 0:
            return
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _take_turn(self, patience: int = _PATIENCE) -> None:
        """Take connections while no other process has fewer.

        Args:
            patience: how often they may be left to another once more.
        """
        for _ in range(_AT_ONCE):
            if self._tally.is_ahead() and self._loop.time() >= self._busy_until:
                if patience:
                    self._rest(_TURN_SECONDS, patience - 1)
                    return
                self._busy_until = self._loop.time() + _BUSY_SECONDS
            if not self._take():
                return

    def _take(self) -> bool:
        """Take one; whether there may be more."""
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno not in _PASSING:  # no descriptors, no memory: trying again at once would not help
                self._log.log(logging.ERROR, f"connections can't be taken: {error}")
                self._rest(_EXHAUSTED_SECONDS)
            return False
        self._tally.add(1)
        task = self._loop.create_task(self._connect(sock), name="connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, sock)
        except Exception:
            sock.close()
            logger.exception("a connection could not be made")
        finally:
            self._tally.add(-1)  # from here on, it counts for as long as its protocol has it

    def _rest(self, seconds: float, patience: int = _PATIENCE) -> None:
        self._loop.remove_reader(self._sock)
        self._resting = self._loop.call_later(seconds, self._resume, patience)

    def _resume(self, patience: int) -> None:
        self._resting = None
        self._loop.add_reader(self._sock, self._take_turn)
        if self._waiting.poll(0):
            self._take_turn(patience)

"""A place that always has a server process in it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from iiif_server.serving.orders import Orders
from iiif_server.serving.process import ServerProcess
from iiif_server.serving.spawning import Spawner

logger = logging.getLogger(__name__)

_SHORT_LIFE: Final = 10.0
_LONGEST_PAUSE: Final = 5.0


class Owner(Protocol):
    """What a place asks of the supervisor, and tells it."""

    @property
    def orders(self) -> Orders:
        """What is to be served now."""

    @property
    def spawner(self) -> Spawner:
        """What starts processes."""

    @property
    def fork_server(self) -> socket.socket | None:
        """What processes ask for workers by, if they share who forks them."""

    def on_ready(self) -> None:
        """A process serves."""

    async def on_end(self, process_id: int) -> None:
        """A process has gone."""

    def on_failure(self, place: Place, problems: Sequence[str], *, explained: bool) -> None:
        """A process ended before it served; the place tries again after a pause."""


class Place:
    """Keeps a server process running, replaces it when it ends, and passes orders on to it.

    Args:
        index: its number.
        owner: decides.
        tally: descriptor of the tally of connections.
        sockets: that the process is to listen on.

    Attributes:
        serves: what its process serves; ``None`` while it does not.
        failures: how many processes in a row were of no use, or not for long.
    """

    def __init__(self, index: int, owner: Owner, tally: int, sockets: Sequence[socket.socket]) -> None:
        self.serves: Orders | None = None
        self.failures = 0
        self._index = index
        self._owner = owner
        self._tally = tally
        self._sockets = sockets
        self._process: ServerProcess | None = None
        self._closing = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id of its process."""
        return self._process.pid if self._process else None

    async def keep(self) -> None:
        """Have one process after the other until the place is closed."""
        loop = asyncio.get_running_loop()
        while not self._closing.is_set():
            started = loop.time()
            await self._employ()
            self.failures = 0 if loop.time() - started > _SHORT_LIFE else self.failures + 1
            await self._pause()

    async def reload(self, orders: Orders) -> Sequence[str]:
        """Have the process serve something else; returns what keeps it from that, nothing once it does."""
        process = self._process
        if process is None or self.serves is None:
            return ["the server process is being replaced"]
        problems = await process.reload(orders.text or "")
        if not problems and not process.ended.is_set():
            self.serves = orders
        return problems

    def replace(self) -> None:
        """End the process well; the next one has the orders of then."""
        if self._process:
            self._process.retire()

    def close(self) -> None:
        """End the process well, and have no other."""
        self._closing.set()
        self.replace()

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        if self._process:
            self._process.kill()

    async def _employ(self) -> None:
        """One process from its start to its end."""
        orders = self._owner.orders
        process = self._process = ServerProcess()
        own = replace(orders, process=self._index)
        owner = self._owner
        problems = await process.start(owner.spawner, own, self._tally, self._sockets, owner.fork_server)
        if problems:
            process.kill()
            await self._reap(process)
            if not self._closing.is_set():
                self._owner.on_failure(self, problems, explained=process.has_refused)
            return
        self.serves = orders
        if orders is not self._owner.orders:
            self.replace()  # they changed meanwhile
        self._owner.on_ready()
        await process.ended.wait()
        self.serves = None
        code = await self._reap(process)
        if not self._closing.is_set():
            logger.warning("server process %s ended with code %s and is replaced", process.pid, code)

    async def _reap(self, process: ServerProcess) -> int | None:
        code = await process.reap()
        if process.pid is not None:
            await self._owner.on_end(process.pid)
        return code

    async def _pause(self) -> None:
        """What ends again and again is replaced ever more slowly."""
        if self.failures > 1:
            try:
                async with asyncio.timeout(min(_LONGEST_PAUSE, 0.1 * 2 ** min(self.failures - 2, 10))):
                    await self._closing.wait()
            except TimeoutError:
                pass

"""The background work of a source store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from iiif_server.caches.owned import LEAVES, ForeignDirectory
from iiif_server.caches.sources.overflow import Overflow
from iiif_server.caches.sources.room import Room
from iiif_server.caches.threads import Threads


class Sweeper:
    """Goes through a directory at the start and now and then, a leaf at a time.

    Args:
        room: what is swept.
        overflow: the temporary files that dead processes left.
        threads: do the file work.
        complain: told if the directory can't be used.
        seconds: between two times.
    """

    def __init__(
        self,
        room: Room,
        overflow: Overflow,
        threads: Threads,
        complain: Callable[[Exception], None],
        seconds: float,
    ) -> None:
        self._room = room
        self._overflow = overflow
        self._threads = threads
        self._complain = complain
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="source store sweep")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            try:
                await self._threads.run(self._overflow.sweep)
                for leaf in LEAVES:
                    await self._threads.run(self._room.sweep, leaf)
            except (OSError, ForeignDirectory) as error:
                self._complain(error)
            await asyncio.sleep(self._seconds)

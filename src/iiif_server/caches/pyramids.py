"""Pyramids that are read: lent by their store, and kept open for a moment for the next tile."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from iiif_server.caches.single_flight import SingleFlight
from iiif_server.caches.sources.records import Fetched, StoredSource
from iiif_server.caches.sources.store import SourceStore
from iiif_server.caches.sources.writer import SourceWriter
from iiif_server.caches.threads import Threads
from iiif_server.caches.throttle import ThrottledLog
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.pyramids.index import DamagedPyramid, Span, TileIndex, read_index, read_tile

logger = logging.getLogger(__name__)

_MOST_OPEN: Final = 16
_IDLE_SECONDS: Final = 30.0
_READERS: Final = 4


class _Absent(Exception):
    """It was removed since it was seen."""


class _Opened:
    """An open pyramid: closed when it was dropped and nobody reads it any more."""

    def __init__(self, descriptor: int, index: TileIndex, lease: AsyncExitStack) -> None:
        self.index = index
        self.descriptor = descriptor
        self.lease = lease
        self.users = 0
        self.is_dropped = False
        self.timer: asyncio.TimerHandle | None = None


class OpenPyramids:
    """Reads tiles out of the pyramids in a store.

    What is open is on lease, so it stays as it is; whatever fails means only that there is no tile.

    Args:
        store: what lends them. It is closed with this.
        most: how many stay open at once.
        idle_seconds: how long one stays open after its last tile.
    """

    def __init__(
        self, store: SourceStore, *, most: int = _MOST_OPEN, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self._store = store
        self._most = most
        self._idle_seconds = idle_seconds
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._flights: SingleFlight[_Opened | None] = SingleFlight()
        self._threads = Threads(_READERS, "pyramid-read")
        self._closing: set[asyncio.Task[None]] = set()
        self._complaints = ThrottledLog(logger)

    async def tile(self, key: str, operation: Operation) -> bytes | None:
        """The tile that a request is, out of the pyramid under a key; ``None`` if there is none."""
        opened = self._opened.get(key)
        if opened is None:
            opened = await self._flights.run(key, lambda: self._open(key))
        if opened is None or (span := opened.index.find(operation)) is None:
            return None
        if opened.is_dropped:  # since it was opened for this one
            return None
        return await self._read(key, opened, span)

    async def close(self) -> None:
        """Close what is open, and the store."""
        for key in list(self._opened):
            self._drop(key)
        while self._closing:
            await asyncio.wait(self._closing)
        await self._threads.close()
        await self._store.close()

    async def _read(self, key: str, opened: _Opened, span: Span) -> bytes | None:
        opened.users += 1
        try:
            return await self._threads.run(read_tile, opened.descriptor, span)
        except (DamagedPyramid, OSError) as error:
            await self._discard(key, error)
            return None
        finally:
            opened.users -= 1
            self._touch(key, opened)

    async def _open(self, key: str) -> _Opened | None:
        if await self._store.stored(key) is None:
            return None
        async with AsyncExitStack() as stack:
            try:
                stored = await stack.enter_async_context(self._store.lease(key, _absent, max_age=None))
            except _Absent:
                return None
            try:
                descriptor, index = await self._threads.run(_open_file, stored.path, unwanted=_close_file)
            except (DamagedPyramid, OSError) as error:
                await self._discard(key, error)
                return None
            opened = _Opened(descriptor, index, stack.pop_all())
        self._opened[key] = opened
        while len(self._opened) > self._most:
            self._drop(next(iter(self._opened)))
        self._touch(key, opened)
        return opened

    def _touch(self, key: str, opened: _Opened) -> None:
        """Note a use; a pyramid that was dropped is closed by its last user."""
        if opened.is_dropped:
            self._end(opened)
            return
        self._opened.move_to_end(key)
        if opened.timer is not None:
            opened.timer.cancel()
        loop = asyncio.get_running_loop()
        opened.timer = loop.call_later(self._idle_seconds, self._drop, key)

    def _drop(self, key: str) -> None:
        opened = self._opened.pop(key)
        opened.is_dropped = True
        if opened.timer is not None:
            opened.timer.cancel()
        self._end(opened)

    def _end(self, opened: _Opened) -> None:
        if opened.users:
            return
        task = asyncio.create_task(self._close(opened), name="close a pyramid")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, opened: _Opened) -> None:
        await self._threads.run(os.close, opened.descriptor)
        await opened.lease.aclose()

    async def _discard(self, key: str, error: Exception) -> None:
        """A pyramid that can't be read is of no use: the next one who wants it has it built anew."""
        self._complaints.log(logging.WARNING, f"Pyramid {key} was removed: {error}")
        if key in self._opened:
            self._drop(key)
        await self._store.forget(key)


def check_pyramid(path: Path) -> int:
    """Read every tile of a pyramid; tells how many there are. Does file work: not on the event loop.

    Raises:
        DamagedPyramid: a part of it is not as it was written.
        OSError: it can't be read.
    """
    descriptor, index = _open_file(path)
    try:
        for span in index.spans():
            read_tile(descriptor, span)
    finally:
        os.close(descriptor)
    return index.tiles


async def _absent(_: SourceWriter, __: StoredSource | None) -> Fetched:
    raise _Absent


def _open_file(path: Path) -> tuple[int, TileIndex]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return descriptor, read_index(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _close_file(opened: tuple[int, TileIndex]) -> None:
    os.close(opened[0])

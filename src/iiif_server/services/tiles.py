"""Copy stored tiles in the server's process: no worker, no decoder, and one read for each.

See docs/adr/0008-stored-tiles.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lru import LRU

from iiif_server.caches.single_flight import SingleFlight
from iiif_server.errors import IIIFServerError
from iiif_server.execution.messages import Task, TaskRunner
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.plan import is_copy
from iiif_server.imaging.splice import whole_jpeg
from iiif_server.imaging.tasks import SourceFile
from iiif_server.imaging.tiles import StoredTile, TileIndex
from iiif_server.services.reading import SourceReader

MAX_OPEN = 64
"""Sources whose files are kept open at once, at most."""

IDLE_SECONDS = 10.0
"""How long a file that nobody asks for stays open, and its source lent."""

LARGEST = 4 << 20
"""Tiles of more bytes are left to workers, so that a few clients don't take all of the memory here."""

_REMEMBERED = 4096
"""Of so many sources without tiles to copy it is known that they have none."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TileSource:
    """A source that may hold tiles.

    Attributes:
        version: that its bytes are known under.
        page: of the file, from 1.
        lend: lends the file.
        confirm: tells, once it has been opened, whether it is still of this version.
    """

    version: str
    page: int
    lend: Callable[[], AbstractAsyncContextManager[Path]]
    confirm: Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class _Open:
    """A source that is lent and open."""

    index: TileIndex
    reader: SourceReader
    was_used: bool = True
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


class TileService:
    """Copies stored tiles out of open files. Sources stay lent while their files are open.

    Args:
        pool: where files are looked into.
        max_bytes: of positions of tiles that are kept; 0 copies nothing here.
    """

    def __init__(self, pool: TaskRunner, max_bytes: int) -> None:
        self._pool = pool
        self._max_bytes = max_bytes
        self._bytes = 0
        self._open: OrderedDict[Hashable, _Open] = OrderedDict()
        self._without: LRU[Hashable, bool] = LRU(_REMEMBERED)
        self._flights: SingleFlight[_Open | None] = SingleFlight()
        self._keepers: set[asyncio.Task[None]] = set()

    async def copy(
        self, key: Hashable, operation: Operation, source: Callable[[], TileSource]
    ) -> bytes | None:
        """The stored tile that an operation equals, as a JPEG file; ``None`` if a worker has to answer.

        Args:
            key: what the source is known by; it holds the version.
            operation: resolved against this version.
            source: called if the source is not open yet.
        """
        found = self._open.get(key)
        if found is None:
            if not self._max_bytes or key in self._without:
                return None
            found = await self._flights.run(key, lambda: self._opened(key, source()))
            if found is None:
                return None
        tile = self._find(key, found, operation)
        return None if tile is None else await self._read(key, found, tile)

    def copy_at_once(self, key: Hashable, operation: Operation) -> bytes | None:
        """The same if the source is open and the tile in memory, else ``None``; it never waits."""
        found = self._open.get(key)
        tile = None if found is None else self._find(key, found, operation)
        if found is None or tile is None:
            return None
        level, number = tile.level, tile.number
        count = level.counts[number]
        data = found.reader.read_at_once(level.offsets[number], count) if count else None
        return None if data is None else whole_jpeg(level, data)

    async def close(self) -> None:
        """Close every file, and give the sources back."""
        self._max_bytes = 0
        for key in list(self._open):
            self._drop(key)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def statistics(self) -> dict[str, int]:
        """Gauges by name."""
        return {"sources": len(self._open), "bytes": self._bytes, "max_bytes": self._max_bytes}

    def _find(self, key: Hashable, found: _Open, operation: Operation) -> StoredTile | None:
        """The tile to copy for an operation, out of a source that is thereby used."""
        self._open.move_to_end(key)
        found.was_used = True
        tile = found.index.find(operation)
        return tile if tile is not None and is_copy(tile, operation) else None

    async def _read(self, key: Hashable, found: _Open, tile: StoredTile) -> bytes | None:
        level, number = tile.level, tile.number
        count = level.counts[number]
        if not 0 < count <= LARGEST:
            return None
        data = await found.reader.read(level.offsets[number], count)
        if data is None:  # the file is another one now, or ends early
            if self._open.get(key) is found:
                self._drop(key)
            return None
        return whole_jpeg(level, data)

    async def _opened(self, key: Hashable, source: TileSource) -> _Open | None:
        """Have a task hold the source: it is given back by whom it was lent to."""
        ready: asyncio.Future[_Open | None] = asyncio.get_running_loop().create_future()
        keeper = asyncio.create_task(self._keep(key, source, ready), name="stored tiles")
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        try:
            return await ready
        except asyncio.CancelledError:
            keeper.cancel()
            raise

    async def _keep(self, key: Hashable, source: TileSource, ready: asyncio.Future[_Open | None]) -> None:
        """Hold a source from its opening until it has been idle for a while, or others take its place."""
        try:
            async with source.lend() as path:
                opened = await self._look_into(key, path, source)
                if not ready.done():
                    ready.set_result(opened)
                if opened is not None:
                    await self._hold(key, opened)
        except (IIIFServerError, OSError) as error:
            # Whoever asks a worker instead gets the answer that fits.
            logger.debug("no tiles are copied: %s", error)
        except Exception:
            logger.exception("A source of tiles can't be used")
        finally:
            if not ready.done():
                ready.set_result(None)

    async def _hold(self, key: Hashable, opened: _Open) -> None:
        try:
            while opened.was_used and not opened.let_go.is_set():
                opened.was_used = False
                with suppress(TimeoutError):
                    await asyncio.wait_for(opened.let_go.wait(), IDLE_SECONDS)
        finally:
            if self._open.get(key) is opened:
                self._drop(key)

    async def _look_into(self, key: Hashable, path: Path, source: TileSource) -> _Open | None:
        file = SourceFile(str(path), source.version, source.page)
        outcome = await self._pool.run(Task("tiles", file, affinity=f"{file.path}\0{file.version}"))
        index = TileIndex.unpack(outcome.meta, outcome.body)
        useful = bool(index.levels) and index.weight <= self._max_bytes
        reader = await asyncio.to_thread(SourceReader, file.path) if useful else None
        if not await source.confirm():
            return None
        if reader is None:
            self._without[key] = True
            return None
        opened = _Open(index, reader)
        self._open[key] = opened
        self._bytes += index.weight
        while self._bytes > self._max_bytes or len(self._open) > MAX_OPEN:
            self._drop(next(iter(self._open)))
        return opened

    def _drop(self, key: Hashable) -> None:
        dropped = self._open.pop(key)
        self._bytes -= dropped.index.weight
        dropped.let_go.set()

"""Memory in front of a slower store, as one cache that never makes a client wait for a write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from iiif_server.caches.derivative import Derivative, DerivativeStore
from iiif_server.caches.memory import MemoryCache

logger = logging.getLogger(__name__)


class DerivativeCache:
    """Look-ups from the cheapest tier down; writes to memory at once, to the store in the background.

    A body that waits to be written is found like one in memory. When the store can't keep up, what exceeds
    the bounds is not written: rendering it again later costs less than piling up memory now.

    Args:
        memory: the first tier.
        store: the second tier, if there is one.
        max_pending: how many bodies may wait to be written.
        max_pending_bytes: how many bytes may.
        drain_seconds: how long :meth:`close` waits for them.
    """

    def __init__(
        self,
        memory: MemoryCache,
        store: DerivativeStore | None = None,
        *,
        max_pending: int = 256,
        max_pending_bytes: int = 64 << 20,
        drain_seconds: float = 5.0,
    ) -> None:
        self._memory = memory
        self._store = store
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._drain_seconds = drain_seconds
        self._pending: dict[str, bytes] = {}
        self._pending_bytes = 0
        self._writes: dict[str, asyncio.Task[None]] = {}
        self._skipped = 0
        self._closed = False

    def get_fast(self, key: str) -> Derivative | None:
        """A derivative that is in memory: answered at once, without giving up the event loop's turn."""
        body = self._memory.get(key)
        if body is None:
            body = self._pending.get(key)
        return None if body is None else Derivative.of(body)

    def recall(self, key: str) -> bytes | None:
        """What is in memory; only a hit is counted, as whoever finds nothing looks again."""
        return None if self._memory.peek(key) is None else self._memory.get(key)

    def peek(self, key: str) -> Derivative | None:
        """The same for a second look, whose first one was counted already."""
        body = self._memory.peek(key)
        if body is None:
            body = self._pending.get(key)
        return None if body is None else Derivative.of(body)

    async def holds(self, key: str) -> bool:
        """Whether a derivative is likely to be found, without the price of getting it."""
        return self.peek(key) is not None or (self._store is not None and await self._store.holds(key))

    async def find(self, key: str) -> Derivative | None:
        """What the store has, for the caller to close. Only a hit is counted."""
        if self._store is None or self._closed:
            return None
        return self._remembered(key, await self._store.find(key))

    def put_fast(self, key: str, body: bytes) -> None:
        """Keep a derivative in memory alone: one that is as cheap to get as from the store."""
        self._memory.put(key, body)

    async def put(self, key: str, body: bytes) -> None:
        """Keep a derivative; returns before it is in the store, since no client should wait for a disk."""
        self._memory.put(key, body)
        if self._store is None or self._closed or key in self._pending:
            return
        if (
            len(self._pending) >= self._max_pending
            or self._pending_bytes + len(body) > self._max_pending_bytes
        ):
            self._skipped += 1
            return
        self._pending[key] = body
        self._pending_bytes += len(body)
        task = asyncio.create_task(self._write(self._store, key, body), name=f"cache write {key}")
        self._writes[key] = task
        task.add_done_callback(lambda _: self._written(key))

    @asynccontextmanager
    async def making(self, key: str) -> AsyncIterator[Derivative | None]:
        """Make what was not found, as the only process that does so if that can be had.

        Yields ``None``, or the derivative, for the caller to close, if it was made meanwhile. What is
        :meth:`put` in the block is in the store before another process gets the right.
        """
        if (known := self.peek(key)) is not None or (store := self._store) is None:
            yield known
            return
        claimed = await store.claim(key)
        if isinstance(claimed, Derivative):
            yield self._remembered(key, claimed)
            return
        try:
            yield None
        finally:
            if claimed and key not in self._writes:
                store.release(key)

    async def close(self) -> None:
        """Wait for the pending writes, within bounds, and close the store."""
        self._closed = True
        if self._writes:
            _, late = await asyncio.wait(self._writes.values(), timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            if late:
                logger.warning("Derivative cache: %d writes were given up at the end", len(late))
                await asyncio.wait(late)
        if self._store is not None:
            await self._store.close()

    def statistics(self) -> dict[str, dict[str, int]]:
        """Counters and gauges of each tier, and of the writes that wait."""
        return {
            "memory": self._memory.statistics(),
            "store": {} if self._store is None else self._store.statistics(),
            "pending": {
                "entries": len(self._pending),
                "bytes": self._pending_bytes,
                "skipped": self._skipped,
            },
        }

    def _remembered(self, key: str, found: Derivative | None) -> Derivative | None:
        if found is not None and isinstance(found.body, bytes):
            self._memory.put(key, found.body)
        return found

    async def _write(self, store: DerivativeStore, key: str, body: bytes) -> None:
        try:
            await store.put(key, body)
        except Exception:
            # A store must not raise; one that does costs speed, not the server.
            logger.exception("Derivative cache: %s failed to write", type(store).__name__)

    def _written(self, key: str) -> None:
        del self._writes[key]
        self._pending_bytes -= len(self._pending.pop(key))

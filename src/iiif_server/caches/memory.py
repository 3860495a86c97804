"""The first tier: the most recently used small derivatives, in memory."""

from __future__ import annotations

import sys

from lru import LRU

ENTRY_OVERHEAD = 256
"""Bytes counted per entry on top of its body: key, objects and table slots."""

LARGEST_SHARE = 8
"""An entry above ``max_bytes / LARGEST_SHARE`` would push out too many others, and is not kept."""


class MemoryCache:
    """A byte-bounded LRU; synchronous, so that a hit is answered without leaving the event loop's turn.

    Args:
        max_bytes: what all entries may take together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._entries: LRU[str, bytes] = LRU(sys.maxsize)
        self._bytes = 0
        self._hits = 0
        self._misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> bytes | None:
        """The body under a key, now the most recently used one."""
        body = self._entries.get(key)
        if body is None:
            self._misses += 1
        else:
            self._hits += 1
        return body

    def peek(self, key: str) -> bytes | None:
        """The body under a key, counted neither as a hit nor as a miss: for a second look."""
        return self._entries.get(key)

    def put(self, key: str, body: bytes) -> None:
        """Keep a body, and forget the least recently used ones that no longer fit."""
        size = len(body) + ENTRY_OVERHEAD
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= len(old) + ENTRY_OVERHEAD
        if size > self.max_bytes // LARGEST_SHARE:
            return
        self._entries[key] = body
        self._bytes += size
        while self._bytes > self.max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        # Not popitem(): in lru-dict 1.4.1, what that returns is never freed (its issue 64).
        oldest = self._entries.peek_last_item()
        assert oldest is not None
        key, body = oldest
        del self._entries[key]
        self._bytes -= len(body) + ENTRY_OVERHEAD

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()
        self._bytes = 0

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name; ``bytes`` includes the overhead counted per entry."""
        return {
            "hits": self._hits,
            "misses": self._misses,
            "entries": len(self._entries),
            "bytes": self._bytes,
            "max_bytes": self.max_bytes,
        }

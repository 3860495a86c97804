"""Room for sources: the budget of a directory, and what is cleared away to keep it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from iiif_server.caches.budget import on_disk
from iiif_server.caches.owned import LEAVES
from iiif_server.caches.sources.directory import Entry, SourceDirectory, View, record_name
from iiif_server.caches.sources.ledger import Counts, Ledger
from iiif_server.caches.sources.locks import remove, remove_unused, seized

LARGEST_SHARE: Final = 2
"""A source above ``max_bytes / LARGEST_SHARE`` would push out too many others, and is not kept."""

SETTLE_TO: Final = 0.9
"""What eviction leaves of the budget, so that it does not run at every write."""


class Room:
    """Counts bytes in before they are written, whichever process writes them. Synchronous, for threads.

    Args:
        directory: what is kept within the budget.
        max_bytes: the budget.
        unused_seconds: how long a source may lie unused; ``None`` for as long as there is room.
    """

    def __init__(self, directory: SourceDirectory, max_bytes: int, unused_seconds: float | None) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = self.entries = self.evicted = 0
        self._directory = directory
        self._ledger = Ledger(directory)
        self._unused_seconds = unused_seconds

    @contextmanager
    def changing(self, leaf: str) -> Iterator[int]:
        """Open a leaf to rename, write or remove in it: one process at a time. It is counted afterwards.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: it can't be used, or there is no such leaf.
        """
        with self._locked() as counts:
            try:
                with self._directory.leaf(leaf) as fd:
                    yield fd
            finally:
                self._count(counts, leaf)

    def reserve(self, leaf: str, fd: int, size: int) -> bool:
        """Let a file of ours grow to a size, evicting the least recently used sources if it does not fit.

        The file gets its size at once, as a hole, so that whoever counts the leaf meanwhile counts it.

        Returns:
            Whether it may be written; ``False`` if it is too large, or everything else is in use.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: it can't be used.
        """
        if size > self.max_bytes // LARGEST_SHARE:
            return False
        with self._locked() as counts:
            for unknown in counts.unknown():
                self._count(counts, unknown)
            extra = on_disk(size) - on_disk(os.fstat(fd).st_size)
            if counts.total_bytes + extra > self.max_bytes:
                self._evict(counts, extra)
            if counts.total_bytes + extra > self.max_bytes:
                return False
            os.ftruncate(fd, size)
            counts.add(leaf, extra)
        return True

    def sweep(self, leaf: str) -> None:
        """Remove what dead processes left in a leaf, and what has not been used for too long; count it.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: it can't be used.
        """
        with self._locked() as counts:
            view = self._clean(counts, leaf)
            if self._unused_seconds is None:
                return
            oldest = time.time() - self._unused_seconds
            for entry in view.entries:
                if entry.used < oldest:
                    self._remove(counts, leaf, entry)

    @contextmanager
    def _locked(self) -> Iterator[Counts]:
        with self._ledger.locked() as counts:
            try:
                yield counts
            finally:
                self.total_bytes, self.entries = counts.total_bytes, counts.entries

    def _count(self, counts: Counts, leaf: str) -> View:
        view = self._directory.look(leaf)
        counts.set(leaf, view.bytes, len(view.entries))
        return view

    def _clean(self, counts: Counts, leaf: str) -> View:
        """Remove what belongs to nobody. Under the lock no description is being written."""
        view = self._count(counts, leaf)
        if not (view.strays or view.parts or view.scraps):
            return view
        with self._directory.leaf(leaf) as fd:
            for name in view.strays + view.parts:
                remove_unused(name, fd)
            for name in view.scraps:
                remove(name, fd)
        return self._count(counts, leaf)

    def _evict(self, counts: Counts, extra: int) -> None:
        """Make room for so many more bytes, and some more, by removing what was not used for longest."""
        found = [(entry, leaf) for leaf in LEAVES for entry in self._clean(counts, leaf).entries]
        if counts.total_bytes + extra <= self.max_bytes:
            return
        found.sort(key=lambda each: each[0].used)
        for entry, leaf in found:
            if counts.total_bytes + extra <= self.max_bytes * SETTLE_TO:
                break
            self.evicted += self._remove(counts, leaf, entry)

    def _remove(self, counts: Counts, leaf: str, entry: Entry) -> bool:
        """Remove a source unless it is lent. Its description goes first: there is none without a source."""
        with self._directory.leaf(leaf) as fd, seized(entry.source, fd) as is_free:
            if is_free:
                remove(record_name(entry.digest), fd)
                remove(entry.source, fd)
                counts.add(leaf, -entry.bytes, -1)
            return is_free

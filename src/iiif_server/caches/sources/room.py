"""Room for sources: the budget of a directory, and what is cleared away to keep it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Final

from iiif_server.caches.budget import on_disk
from iiif_server.caches.locks import remove, remove_unused, seized
from iiif_server.caches.owned import LEAVES
from iiif_server.caches.sources.directory import Entry, SourceDirectory, View, record_name
from iiif_server.caches.sources.ledger import Counts, Ledger

LARGEST_SHARE: Final = 2
"""A source above ``max_bytes / LARGEST_SHARE`` would push out too many others, and is not kept."""

LOOK_AHEAD: Final = 0.1
"""Which part of the budget may be evicted before all entries are looked at again."""


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
        self._oldest: deque[Entry] = deque()
        self._survey_turn = threading.Lock()

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
        if self._grow(leaf, fd, size):
            return True
        with self._survey_turn:
            if self._grow(leaf, fd, size):  # another thread surveyed meanwhile
                return True
            for depth in (size + self.max_bytes * LOOK_AHEAD, float("inf")):
                is_complete = self._survey(depth)
                if self._grow(leaf, fd, size):
                    return True
                if is_complete:
                    break
        return False

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
                    self._remove(counts, entry)

    def remove(self, leaf: str, digests: AbstractSet[str]) -> list[str]:
        """Remove sources of a leaf; returns those that are still there, because they are in use.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: it can't be used.
        """
        with self._locked() as counts:
            wanted = [entry for entry in self._clean(counts, leaf).entries if entry.digest in digests]
            return [entry.digest for entry in wanted if not self._remove(counts, entry)]

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

    def _grow(self, leaf: str, fd: int, size: int) -> bool:
        """Reserve, evicting those that are known to be the oldest; tells whether that was enough."""
        with self._locked() as counts:
            if counts.unknown():
                return False
            extra = on_disk(size) - on_disk(os.fstat(fd).st_size)
            while counts.total_bytes + extra > self.max_bytes and self._oldest:
                self.evicted += self._remove(counts, self._oldest.popleft())
            if counts.total_bytes + extra > self.max_bytes:
                return False
            os.ftruncate(fd, size)
            counts.add(leaf, extra)
        return True

    def _survey(self, depth: float) -> bool:
        """Go through all leaves, and remember the least recently used entries that make up so many bytes.

        Returns:
            Whether these are all there are.
        """
        found: list[Entry] = []
        for leaf in LEAVES:
            with self._locked() as counts:
                found += self._clean(counts, leaf).entries
        found.sort(key=lambda entry: entry.used)
        total, oldest = 0, deque[Entry]()
        for entry in found:
            if total >= depth:
                break
            total += entry.bytes
            oldest.append(entry)
        self._oldest = oldest
        return len(oldest) == len(found)

    def _remove(self, counts: Counts, entry: Entry) -> bool:
        """Remove a source, unless it is lent or was used, replaced or removed since it was looked at."""
        with self._directory.leaf(entry.leaf) as leaf, seized(entry.source, leaf) as is_free:
            if not is_free or not self._directory.is_current(leaf, entry):
                return False
            record = record_name(entry.digest)
            freed = sum(on_disk(os.stat(name, dir_fd=leaf).st_size) for name in (record, entry.source))
            remove(record, leaf)  # first: there is no description without its source
            remove(entry.source, leaf)
        counts.add(entry.leaf, -freed, -1)
        return True

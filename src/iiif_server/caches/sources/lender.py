"""Sources in files: looked up, and lent under a lock that every process heeds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from iiif_server.caches.locks import open_shared, remove, remove_unused
from iiif_server.caches.owned import NO_LEAF, ForeignDirectory
from iiif_server.caches.sources.directory import SourceDirectory, record_name, source_name
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.records import DamagedRecord, SourceRecord
from iiif_server.caches.sources.room import Room

_TRIES = 3
_PAUSE_SECONDS = 0.001


class Lender:
    """Finds and lends what is kept. Synchronous, for threads.

    Any method may raise ``OSError`` if the directory can't be used, and ``ForeignDirectory`` if it is
    somebody else's.

    Args:
        directory: where the files are.
        room: keeps them within the budget.
        touch_seconds: a use within this time after the last recorded one is not recorded.
    """

    def __init__(self, directory: SourceDirectory, room: Room, touch_seconds: float) -> None:
        self.damaged = 0
        self._directory = directory
        self._room = room
        self._touch_seconds = touch_seconds

    def record(self, digest: str) -> SourceRecord | None:
        """What is known of a key's source, if that is there."""
        try:
            found = self._directory.read(digest)
        except DamagedRecord:
            self._discard(digest)
            return None
        if found is None or self._directory.size_of(digest, found[1]) != found[0].size:
            return None
        return found[0]

    def find(self, digest: str, is_wanted: Callable[[SourceRecord], bool]) -> Loan | None:
        """Lend a key's source, if it is there and wanted."""
        for number in range(_TRIES):
            if number:
                time.sleep(number * _PAUSE_SECONDS)
            try:
                with self._directory.leaf(digest[:2]) as leaf:
                    found = self._directory.read_in(leaf, digest)
                    if found is None or not is_wanted(found[0]):
                        return None
                    if (loan := self._open(leaf, digest, *found)) is not None:
                        return loan
            except NO_LEAF:
                return None
            except DamagedRecord:
                break
            # It was replaced since its description was read, or is being removed. Or the two do not match.
        self._discard(digest)
        return None

    def keys(self, leaf: str) -> list[str]:
        """The keys whose sources are in a leaf."""
        records = [self.record(entry.digest) for entry in self._directory.look(leaf).entries]
        return [record.key for record in records if record is not None]

    def loan(self, digest: str, record: SourceRecord, serial: str, fd: int) -> Loan:
        """Lend a file that is open and locked."""
        path = self._directory.path / digest[:2] / source_name(digest, serial)
        return Loan(record.lent_as(path), serial, partial(self._take_back, digest, serial, fd))

    def _open(self, leaf: int, digest: str, record: SourceRecord, serial: str) -> Loan | None:
        fd = open_shared(source_name(digest, serial), leaf)
        if fd is None or not self._is_whole(fd, record):
            return None
        return self.loan(digest, record, serial, fd)

    def _is_whole(self, fd: int, record: SourceRecord) -> bool:
        """Check an open source's size, and record that it is used; closes it if it is wrong."""
        status = os.fstat(fd)
        if status.st_size != record.size:
            os.close(fd)
            return False
        if not 0 <= time.time() - status.st_mtime < self._touch_seconds:
            with suppress(OSError):  # read-only, or another user's
                os.utime(fd)
        return True

    def _take_back(self, digest: str, serial: str, fd: int) -> None:
        """Close a source that was lent, and remove it if it was replaced or forgotten meanwhile."""
        os.close(fd)
        with suppress(OSError, ForeignDirectory, DamagedRecord):  # the next sweep will do
            found = self._directory.read(digest)
            if found is None or found[1] != serial:
                with self._room.changing(digest[:2]) as leaf:
                    remove_unused(source_name(digest, serial), leaf)

    def _discard(self, digest: str) -> None:
        """Remove a key's files if, with nobody at work on them, they are still damaged."""
        with suppress(*NO_LEAF), self._room.changing(digest[:2]) as leaf:
            try:
                found = self._directory.read_in(leaf, digest)
            except DamagedRecord:
                found = None
            else:
                if found is None or self._directory.size_of(digest, found[1]) == found[0].size:
                    return
            self.damaged += 1
            remove(record_name(digest), leaf)
        self._room.sweep(digest[:2])

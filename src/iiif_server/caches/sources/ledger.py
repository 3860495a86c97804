"""How much each leaf holds: one small file, which is also the lock under which anything is changed."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from iiif_server.caches.locks import is_in_place, try_lock
from iiif_server.caches.owned import LEAVES, OwnedDirectory

LEDGER: Final = "ledger"
"""The file's name, beside the leaves."""

_UNKNOWN = -1
_POLL_SECONDS = 0.002
_ITEM = array("q").itemsize
_FILE_BYTES = 2 * len(LEAVES) * _ITEM


class Counts:
    """Bytes and entries by leaf. A leaf that was not counted yet is unknown."""

    def __init__(self, data: bytes) -> None:
        if len(data) != _FILE_BYTES:
            data = array("q", [_UNKNOWN] * (2 * len(LEAVES))).tobytes()
        numbers = array("q", data)
        self._bytes, self._entries = numbers[: len(LEAVES)], numbers[len(LEAVES) :]
        self.is_changed = False

    @property
    def total_bytes(self) -> int:
        """In all leaves that are known."""
        return _sum(self._bytes)

    @property
    def entries(self) -> int:
        """In all leaves that are known."""
        return _sum(self._entries)

    def unknown(self) -> list[str]:
        """The leaves that were not counted yet."""
        return [leaf for leaf, number in zip(LEAVES, self._bytes, strict=True) if number < 0]

    def add(self, leaf: str, count: int, entries: int = 0) -> None:
        """Count bytes and entries into a leaf that is known, or out of it."""
        index = int(leaf, 16)
        self.set(leaf, self._bytes[index] + count, self._entries[index] + entries)

    def set(self, leaf: str, count: int, entries: int) -> None:
        """Note what a leaf holds."""
        index = int(leaf, 16)
        if (self._bytes[index], self._entries[index]) != (count, entries):
            self._bytes[index], self._entries[index] = count, entries
            self.is_changed = True

    def to_bytes(self) -> bytes:
        """For the file."""
        return (self._bytes + self._entries).tobytes()


class Ledger:
    """The counts of a directory, shared by every process that uses it.

    A process that is killed at the wrong moment, or a person who deletes files, leaves the counts a little
    wrong: whoever looks through a leaf anyway sets them right.

    Args:
        directory: what is counted.
        patience: seconds to wait for the lock. It is held for milliseconds; during an eviction from very many
            entries, for a second.
    """

    def __init__(self, directory: OwnedDirectory, patience: float = 10.0) -> None:
        self._directory = directory
        self._patience = patience
        self._turn = threading.Lock()  # cheaper to wait for than the file's lock

    @contextmanager
    def locked(self) -> Iterator[Counts]:
        """Read the counts and write them back, while nobody else changes anything in the directory.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: it can't be used; a ``TimeoutError`` if another process holds the lock too long.
        """
        deadline = time.monotonic() + self._patience
        if not self._turn.acquire(timeout=self._patience):
            raise TimeoutError("a thread does not let go of the ledger")
        try:
            fd = self._open(deadline)
            try:
                counts = Counts(os.pread(fd, _FILE_BYTES + 1, 0))
                try:
                    yield counts
                finally:
                    if counts.is_changed:
                        os.pwrite(fd, counts.to_bytes(), 0)
            finally:
                os.close(fd)
        finally:
            self._turn.release()

    def _open(self, deadline: float) -> int:
        self._directory.claim()
        path = f"{self._directory.path}/{LEDGER}"
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            try:
                # Somebody may have deleted the whole directory, and somebody else made it anew.
                if try_lock(fd, fcntl.LOCK_EX) and is_in_place(fd, path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if time.monotonic() > deadline:
                raise TimeoutError("another process does not let go of the ledger")
            time.sleep(_POLL_SECONDS)


def _sum(numbers: array[int]) -> int:
    return sum(numbers) - _UNKNOWN * numbers.count(_UNKNOWN)

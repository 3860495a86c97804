"""A source that is being fetched: bytes that go into the store while there is room, and elsewhere if not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path

from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.overflow import Overflow, discard
from iiif_server.caches.sources.records import Fetched, SourceRecord
from iiif_server.errors import ServerBusy, UnreadableSource

_PIECE = 1 << 20


class Part:
    """The file of one fetch. Synchronous, for threads; any of them may call at any time.

    Args:
        keeper: writes into the store.
        overflow: where bytes go that the store has no room for.
        fd: from :meth:`Keeper.begin`, and now this object's; ``None`` if the store can't be used.
        digest: of the key.
        complain: told why something is not kept; an ``OSError``, or a text.
    """

    def __init__(
        self,
        keeper: Keeper,
        overflow: Overflow,
        fd: int | None,
        digest: str,
        complain: Callable[[Exception | str], None],
    ) -> None:
        self.size = 0
        self._keeper = keeper
        self._overflow = overflow
        self._digest = digest
        self._complain = complain
        self._fd = fd
        self._reserved = 0
        self._elsewhere: tuple[int, Path] | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def expect(self, size: int) -> None:
        """Make room for all of a source whose size is known beforehand."""
        with self._lock:
            self._check()
            if self._elsewhere is None and not self._has_room(size):
                self._move()

    def append(self, data: bytes | bytearray) -> None:
        """Write bytes behind those before.

        Raises:
            ServerBusy: there is no room anywhere.
            RuntimeError: the fetch is over.
        """
        with self._lock:
            self._check()
            if self._elsewhere is None and not self._write_to_store(data):
                self._move()
            if self._elsewhere is not None:
                self._write_elsewhere(data)
            self.size += len(data)

    def hand_over(self, size: int) -> Path:
        """Make room for bytes that another process writes, and tell it the file.

        Raises:
            ServerBusy: the store has no room for them.
            RuntimeError: the fetch is over, or something was written already.
        """
        with self._lock:
            self._check()
            if self.size or self._elsewhere is not None:
                raise RuntimeError("something was written already")
            if not self._has_room(size):
                raise ServerBusy("There is no room for this file at the moment.", retry_after=30)
            return self._keeper.path(self._digest)

    def take_back(self, size: int) -> None:
        """Count what another process wrote.

        Raises:
            RuntimeError: the fetch is over, or there was no room for so much.
        """
        with self._lock:
            self._check()
            if self._fd is None or not 0 < size <= self._reserved:
                raise RuntimeError("more was written than there was room for, or nothing")
            self.size = size

    def publish(self, key: str, fetched: Fetched, checked: float) -> Loan:
        """End the fetch well: lend the file, which is kept if it is in the store.

        Raises:
            UnreadableSource: nothing was written.
            ServerBusy: there is no room anywhere.
        """
        with self._lock:
            self._check()
            if not self.size:
                raise UnreadableSource("The source image is an empty file.", log=f"{key!r} is empty")
            record = self._record(key, fetched, checked)
            if self._elsewhere is None:
                assert self._fd is not None
                try:
                    loan = self._keeper.publish(self._fd, self._digest, record)
                except (OSError, ForeignDirectory) as error:
                    self._complain(error)
                    self._move()
                else:
                    self._fd, self._is_over = None, True
                    return loan
            return self._lend_elsewhere(record)

    def abandon(self) -> None:
        """End the fetch, whatever became of it, and let go of everything that was not lent. Never raises."""
        with self._lock:
            self._is_over = True
            if self._fd is not None:
                self._keeper.abandon(self._fd, self._digest)
            if self._elsewhere is not None:
                discard(*self._elsewhere)
            self._fd = self._elsewhere = None

    def _check(self) -> None:
        if self._is_over:
            raise RuntimeError("this fetch is over: nothing can be written any more")

    def _has_room(self, size: int) -> bool:
        if self._fd is None:
            return False
        if size <= self._reserved:
            return True
        try:
            if self._keeper.reserve(self._fd, self._digest, size):
                self._reserved = size
                return True
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
        else:
            self._complain(
                f"a source of {size} bytes or more is not kept: it is too large a part of the budget, or all "
                "the rest is in use"
            )
        return False

    def _write_to_store(self, data: bytes | bytearray) -> bool:
        if not self._has_room(self.size + len(data)):
            return False
        assert self._fd is not None
        try:
            _write_at(self._fd, data, self.size)
        except OSError as error:
            self._complain(error)
            return False
        return True

    def _write_elsewhere(self, data: bytes | bytearray) -> None:
        assert self._elsewhere is not None
        try:
            _write_at(self._elsewhere[0], data, self.size)
        except OSError as error:
            raise _no_room(error) from error

    def _move(self) -> None:
        """Go on in the overflow; the file in the store stays, empty, as the right to fetch."""
        try:
            self._elsewhere = self._overflow.create()
            position = 0
            while self._fd is not None and position < self.size:
                data = os.pread(self._fd, min(_PIECE, self.size - position), position)
                if not data:
                    raise OSError("what was written is gone")
                _write_at(self._elsewhere[0], data, position)
                position += len(data)
        except OSError as error:
            raise _no_room(error) from error
        if self._fd is not None and self._reserved:
            try:
                self._keeper.shrink(self._fd, self._digest)
            except (OSError, ForeignDirectory) as error:
                self._complain(error)

    def _lend_elsewhere(self, record: SourceRecord) -> Loan:
        assert self._elsewhere is not None
        fd, path = self._elsewhere
        self._elsewhere = None
        return Loan(record.lent_as(path), "", partial(discard, fd, path))

    def _record(self, key: str, fetched: Fetched, checked: float) -> SourceRecord:
        version = fetched.version
        if version is None:
            fd = self._fd if self._elsewhere is None else self._elsewhere[0]
            assert fd is not None
            version = _digest(fd, self.size)
        return SourceRecord(
            key=key,
            size=self.size,
            version=version,
            checked=checked,
            media_type=fetched.media_type,
            filename=fetched.filename,
            modified=fetched.modified,
            notes=dict(fetched.notes),
        )


def _write_at(fd: int, data: bytes | bytearray, position: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, position)
        position += written
        rest = rest[written:]


def _digest(fd: int, size: int) -> str:
    digest = blake2b(digest_size=20)
    position = 0
    while position < size and (data := os.pread(fd, min(_PIECE, size - position), position)):
        digest.update(data)
        position += len(data)
    return digest.hexdigest()


def _no_room(error: OSError) -> ServerBusy:
    return ServerBusy(
        "There is no room for the source of this image at the moment; try again later.",
        log=f"a source could be kept neither in the store nor as a temporary file: {error}",
        retry_after=30,
    )

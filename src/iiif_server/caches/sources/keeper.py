"""Sources in files: begun, published, confirmed and forgotten, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from iiif_server.caches.locks import create_locked, is_in_place, remove, remove_unused
from iiif_server.caches.owned import NO_LEAF, ForeignDirectory
from iiif_server.caches.sources.directory import (
    LARGEST_RECORD,
    SourceDirectory,
    draft_name,
    part_name,
    record_name,
    source_name,
)
from iiif_server.caches.sources.lender import Lender
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.records import DamagedRecord, SourceRecord, encode
from iiif_server.caches.sources.room import Room

_DRAFT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Keeper:
    """Changes what is kept. Synchronous, for threads.

    Any method may raise ``OSError`` if the directory can't be used, and ``ForeignDirectory`` if it is
    somebody else's. What is half done then, or when the process is killed, is cleared away by the next sweep.

    Args:
        directory: where the files are.
        room: keeps them within the budget.
        lender: lends what was published.
    """

    def __init__(self, directory: SourceDirectory, room: Room, lender: Lender) -> None:
        self._directory = directory
        self._room = room
        self._lender = lender

    def begin(self, digest: str) -> int | None:
        """Take the exclusive right to fetch a key: the file to write to; ``None`` if somebody has it."""
        self._directory.claim()
        try:
            with self._directory.leaf(digest[:2]) as leaf:
                return create_locked(part_name(digest), leaf)
        except FileNotFoundError:
            self._directory.make_leaf(digest[:2])
            with self._directory.leaf(digest[:2]) as leaf:
                return create_locked(part_name(digest), leaf)

    def path(self, digest: str) -> Path:
        """Where the file of :meth:`begin` is, for another process to write to."""
        return self._directory.path / digest[:2] / part_name(digest)

    def reserve(self, fd: int, digest: str, size: int) -> bool:
        """Make room for the file of :meth:`begin` to grow to a size; see :meth:`Room.reserve`."""
        return self._room.reserve(digest[:2], fd, size)

    def publish(self, fd: int, digest: str, record: SourceRecord) -> Loan:
        """Give a key what was written to the file of :meth:`begin`, and lend it.

        Raises:
            ValueError: the facts that come with it are too long.
        """
        serial = secrets.token_hex(8)
        data = encode(record, serial)
        if len(data) > LARGEST_RECORD:
            raise ValueError(f"what is noted of a source takes more than {LARGEST_RECORD} bytes")
        os.ftruncate(fd, record.size)
        # A description must never outlive its bytes in a power failure. It may itself be lost, or torn.
        os.fdatasync(fd)
        with self._room.changing(digest[:2]) as leaf:
            if not is_in_place(fd, part_name(digest), leaf):
                raise FileNotFoundError("the directory was cleared meanwhile")
            old = self._serial(leaf, digest)
            name = source_name(digest, serial)
            os.rename(part_name(digest), name, src_dir_fd=leaf, dst_dir_fd=leaf)
            try:
                _describe(leaf, digest, data)
            except BaseException:
                remove(name, leaf)
                raise
            # Changing the kind of a lock lets go of it for a moment, in which nobody may remove anything.
            fcntl.flock(fd, fcntl.LOCK_SH)
            if old is not None:
                remove_unused(source_name(digest, old), leaf)
        return self._lender.loan(digest, record, serial, fd)

    def confirm(self, loan: Loan, digest: str, checked: float, notes: Mapping[str, str] | None) -> None:
        """Note that what is lent is still right; on disk unless it was replaced or forgotten meanwhile."""
        loan.stored = replace(
            loan.stored, checked=checked, notes=loan.stored.notes if notes is None else notes
        )
        with self._room.changing(digest[:2]) as leaf:
            if self._serial(leaf, digest) == loan.serial:
                _describe(leaf, digest, encode(loan.stored.record(), loan.serial))

    def shrink(self, fd: int, digest: str) -> None:
        """Give back the room of the file of :meth:`begin`, and keep the right."""
        with self._room.changing(digest[:2]):
            os.ftruncate(fd, 0)

    def abandon(self, fd: int, digest: str) -> None:
        """Give up the right to fetch, and what was written. Never raises."""
        with suppress(OSError, ForeignDirectory):
            if os.fstat(fd).st_size:
                self.shrink(fd, digest)
        with suppress(OSError), self._directory.leaf(digest[:2]) as leaf:
            if is_in_place(fd, part_name(digest), leaf):
                remove(part_name(digest), leaf)
        os.close(fd)

    def forget(self, digest: str) -> bool:
        """Remove a key's source, or see that it goes with its last lease; returns whether there was one."""
        with suppress(*NO_LEAF), self._room.changing(digest[:2]) as leaf:
            serial = self._serial(leaf, digest)
            remove(record_name(digest), leaf)
            if serial is not None:
                remove_unused(source_name(digest, serial), leaf)
                return True
        return False

    def _serial(self, leaf: int, digest: str) -> str | None:
        try:
            found = self._directory.read_in(leaf, digest)
        except DamagedRecord:
            return None
        return None if found is None else found[1]


def _describe(leaf: int, digest: str, data: bytes) -> None:
    """Put a description in place as a whole. Under the ledger's lock, so that nobody else has a draft."""
    draft = draft_name(digest)
    try:
        fd = os.open(draft, _DRAFT_FLAGS, 0o640, dir_fd=leaf)
        try:
            if os.write(fd, data) != len(data):
                raise OSError("a description was cut short")
        finally:
            os.close(fd)
        os.rename(draft, record_name(digest), src_dir_fd=leaf, dst_dir_fd=leaf)
    except BaseException:
        with suppress(OSError):
            remove(draft, leaf)
        raise

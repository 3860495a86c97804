"""Zip archives of stored entries, written as they are sent: the bytes, and how many there will be.

The standard library writes them, into memory that is emptied after each piece: its ``ZipFile`` takes a file
that can't be sought, puts sizes and checksums behind each entry (data descriptors), and knows zip64. As it is
fed piece by piece, it needs no thread of its own, unlike libraries that pull their input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from zipfile import ZIP_STORED, ZipFile, ZipInfo

_ZIP64_FROM: Final = (1 << 31) - 1
"""Above this many bytes, sizes and offsets are written in zip64 fields: where ``zipfile`` begins as well."""

_EARLIEST, _LATEST = 315_532_800, 4_354_819_198
"""The years 1980 to 2107, which is what a zip archive can tell."""

_LOCAL_HEADER, _DESCRIPTOR, _DESCRIPTOR_64 = 30, 16, 24
_CENTRAL_HEADER, _END, _END_64 = 46, 22, 56 + 20
_EXTRA_HEADER, _FIELD_64 = 4, 8


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A file in an archive.

    Attributes:
        name: of the file; distinct within the archive.
        length: in bytes; there may be less in the end, and never more.
        modified: when it last changed, in seconds since the epoch, if known.
    """

    name: str
    length: int
    modified: float | None = None

    @property
    def is_large(self) -> bool:
        """Tell whether its sizes need zip64 fields."""
        return self.length > _ZIP64_FROM


def zip_length(entries: Iterable[ZipEntry]) -> int:
    """The length in bytes of an archive of these entries, if each has all of its bytes.

    Of what :class:`ZipWriter` writes, by sections 4.3.7 to 4.3.16 of APPNOTE.TXT, the format's specification.
    """
    offset = central = 0
    for entry in entries:
        name = len(entry.name.encode())
        large = 2 * _FIELD_64 if entry.is_large else 0
        far = _FIELD_64 if offset > _ZIP64_FROM else 0
        central += _CENTRAL_HEADER + name + (_EXTRA_HEADER + large + far if large or far else 0)
        offset += _LOCAL_HEADER + name + (_EXTRA_HEADER + large if large else 0)
        offset += entry.length + (_DESCRIPTOR_64 if large else _DESCRIPTOR)
    return offset + central + _END + (_END_64 if max(offset, central) > _ZIP64_FROM else 0)


class ZipWriter:
    """Writes an archive into memory: ``with`` it open, add entries, and :meth:`take` what there is.

    What is left to take after the ``with`` ends the archive.
    """

    def __init__(self) -> None:
        self._written = _Written()
        self._archive = ZipFile(self._written, "w", ZIP_STORED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    @contextmanager
    def entry(self, entry: ZipEntry) -> Iterator[Callable[[bytes], Any]]:
        """Begin an entry; what comes back takes its bytes, at most ``entry.length``."""
        info = _Info(entry.name, _date(entry.modified))
        info.external_attr = 0o644 << 16  # who unpacks it may read it
        with self._archive.open(info, "w", force_zip64=entry.is_large) as file:
            yield file.write

    def take(self) -> bytes:
        """What was written since this was last called."""
        return self._written.take()


class _Info(ZipInfo):
    """Names are UTF-8 and marked so, whatever else the standard library might choose for them."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - the library's name
        marked = 0 if self.filename.isascii() else 0x800
        return self.filename.encode(), self.flag_bits | marked


class _Written:
    """A file that can only be written to; without ``tell``, ``ZipFile`` knows that it can't be sought."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Be a file."""

    def close(self) -> None:
        """Be a file."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)  # a single piece is not copied
        self._pieces.clear()
        return taken


def _date(modified: float | None) -> tuple[int, int, int, int, int, int]:
    """A moment in UTC, so that the same files make the same archive everywhere."""
    seconds = _EARLIEST if modified is None else min(max(modified, _EARLIEST), _LATEST)
    moment = time.gmtime(seconds)
    return (moment.tm_year, moment.tm_mon, moment.tm_mday, moment.tm_hour, moment.tm_min, moment.tm_sec)

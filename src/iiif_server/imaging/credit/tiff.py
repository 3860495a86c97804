"""A few tags of the first directory of a TIFF file (TIFF 6.0, section 2; BigTIFF) or of an EXIF block.

Pillow, made for all tags, copies every one, takes texts for Latin-1, keeps only the first word of IPTC data
that is stored in 32-bit words, and does not know the type UTF-8 of Exif 3.0.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from struct import calcsize, error, unpack
from typing import IO, Any, Literal

ARTIST, COPYRIGHT, XMP, IPTC, PHOTOSHOP = 315, 33432, 700, 33723, 34377

# By the file's first bytes: order, and layouts of the header, the number of entries and an entry.
_LAYOUTS: dict[bytes, tuple[Literal["<", ">"], str, str, str]] = {
    b"II*\0": ("<", "4xL", "H", "HHL4s"),
    b"MM\0*": (">", "4xL", "H", "HHL4s"),
    b"II+\0": ("<", "8xQ", "Q", "HHQ8s"),
    b"MM\0+": (">", "8xQ", "Q", "HHQ8s"),
}
_UNITS = {1: 1, 2: 1, 4: 4, 7: 1, 129: 1}
"""Bytes of a BYTE, ASCII, LONG, UNDEFINED and UTF-8; no other type holds what is wanted."""
# RELIABILITY: cameras and editors write some 50 entries.
_MAX_ENTRIES = 1000


def first_directory(file: IO[bytes], wanted: Collection[int], max_bytes: int) -> dict[int, bytes]:
    """The contents of the wanted tags, as far as the file is sound.

    Args:
        file: read from its start; where it stands afterwards is not stated.
        wanted: tags, by number.
        max_bytes: of each tag; what is beyond is not read.
    """
    found: dict[int, bytes] = {}
    size = file.seek(0, os.SEEK_END)
    for order, tag, kind, count, data in list(_entries(file, size)):
        if tag not in wanted or tag in found or kind not in _UNITS:
            continue
        length = count * _UNITS[kind]
        if length <= len(data):
            found[tag] = data[:length]
        else:
            file.seek(min(int.from_bytes(data, "little" if order == "<" else "big"), size))
            found[tag] = file.read(min(length, max_bytes))
    return found


def _entries(file: IO[bytes], size: int) -> Iterator[tuple[str, int, int, int, bytes]]:
    """Yield order, tag, type, number of values, and values or offset, up to where the file is cut short."""
    file.seek(0)
    order, head, number, entry = _LAYOUTS.get(file.read(4), ("<", "", "", ""))
    if not head:
        return
    file.seek(0)
    try:
        (at,) = _take(file, order + head)
        file.seek(min(at, size))
        (count,) = _take(file, order + number)
        for _ in range(min(count, _MAX_ENTRIES)):
            tag, kind, values, data = _take(file, order + entry)
            yield order, tag, kind, values, data
    except error:
        return


def _take(file: IO[bytes], layout: str) -> tuple[Any, ...]:
    return unpack(layout, file.read(calcsize(layout)))

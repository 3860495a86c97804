"""The chunks of a PNG file (W3C PNG, third edition): the picture without its metadata.

As with JPEG, decoders are only handed what makes the picture: a damaged or oversized text, profile, EXIF or
animation chunk can't be fatal. The two facts that count are taken from it here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from iiif_server.errors import UnreadableSource

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_DENSITY_CHUNK = 12 + 9
_MAX_CHUNKS = 2_000_000
_MAX_PROFILE = 16 << 20
_MAX_EXIF = 1 << 20
_MAX_XMP = 1 << 20
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"


@dataclass(slots=True)
class PngLayout:
    """Where what is in a PNG file.

    Attributes:
        pieces: the byte ranges that make the picture, in order.
        head: how many bytes of them come before the picture's data.
        exif: the EXIF block, wherever it lies.
        icc: the ICC profile, if there is a sound one.
        xmp: the first XMP packet, if there is one; empty if it is damaged or too large.
        density: pixels per metre across and down, if the file says so.
    """

    pieces: list[tuple[int, int]]
    head: int
    exif: bytes | None
    icc: bytes | None
    xmp: bytes | None = None
    density: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes that make the picture."""
        return sum(end - start for start, end in self.pieces)

    def assemble(self, file: BinaryIO) -> bytes:
        """Put the picture together; what lies together is read together, and not copied again."""
        ranges = self.pieces[:1]
        for start, end in self.pieces[1:]:
            if ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((start, end))
        return b"".join(_read(file, start, end - start) for start, end in ranges)

    def assemble_head(self, file: BinaryIO) -> bytes:
        """As much as tells size, mode and palette."""
        return b"".join(_read(file, start, end - start) for start, end in self.pieces[: self.head])


def read_layout(file: BinaryIO) -> PngLayout:
    """Walk through a PNG file's chunks; whether its data is whole is for the decoder to find out.

    Raises:
        UnreadableSource: it has more chunks than a picture needs.
    """
    layout = PngLayout([(0, len(SIGNATURE))], 0, None, None)
    for kind, start, end in _chunks(file):
        if kind in _PICTURE:
            if layout.pieces[-1][1] == start and layout.head:
                layout.pieces[-1] = (layout.pieces[-1][0], end)
            else:
                layout.pieces.append((start, end))
            if kind == b"IDAT" and not layout.head:
                layout.pieces[-1:] = [(start, start + 8), (start + 8, end)]
                layout.head = len(layout.pieces) - 1
        elif kind == b"eXIf" and layout.exif is None and end - start <= _MAX_EXIF:
            layout.exif = _checked(file, start, end)
        elif kind == b"iCCP" and layout.icc is None and end - start <= _MAX_PROFILE:
            layout.icc = _inflated(_checked(file, start, end))
        elif kind == b"pHYs" and end - start == _DENSITY_CHUNK:
            layout.density = _density(_checked(file, start, end))
        elif kind == b"iTXt" and layout.xmp is None and _is_xmp(file, start):
            layout.xmp = _text(_checked(file, start, end)) if end - start <= _MAX_XMP else b""
    layout.head = layout.head or len(layout.pieces)
    return layout


def _density(chunk: bytes | None) -> tuple[int, int] | None:
    """Pixels per metre in a pHYs chunk; without that unit it holds an aspect ratio."""
    if chunk is None or chunk[8] != 1:
        return None
    return int.from_bytes(chunk[:4]), int.from_bytes(chunk[4:8])


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk, up to the last."""
    position = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        header = _read(file, position, 8)
        if len(header) < 8 or not header[4:].isalpha():
            return
        kind, end = header[4:], position + 12 + int.from_bytes(header[:4])
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise UnreadableSource("The source image is a damaged PNG file: it has too many chunks.")


def _checked(file: BinaryIO, start: int, end: int) -> bytes | None:
    """A chunk's data if its checksum is right."""
    chunk = _read(file, start, end - start)
    if len(chunk) != end - start or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
        return None
    return chunk[8:-4]


def _inflated(chunk: bytes | None) -> bytes | None:
    """The profile in an iCCP chunk: a name, a method, compressed data."""
    _, separator, rest = (chunk or b"").partition(b"\0")
    if not separator or rest[:1] != b"\0":
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], _MAX_PROFILE)
    except zlib.error:
        return None
    return profile if inflater.eof else None


def _is_xmp(file: BinaryIO, start: int) -> bool:
    return _read(file, start + 8, len(_XMP_KEYWORD)) == _XMP_KEYWORD


def _text(chunk: bytes | None) -> bytes:
    """The text in an iTXt chunk: keyword, compression, two more fields, text; empty if damaged."""
    fields = (chunk or b"")[len(_XMP_KEYWORD) + 2 :].split(b"\0", 2)
    if len(fields) < 3:
        return b""
    if not (chunk or b"")[len(_XMP_KEYWORD)]:
        return fields[2]
    try:
        return zlib.decompressobj().decompress(fields[2], _MAX_XMP)
    except zlib.error:
        return b""


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)

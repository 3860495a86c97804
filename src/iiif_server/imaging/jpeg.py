"""The segments of a JPEG file (ITU-T T.81 annex B): header facts, bounds, and the file without its metadata.

Decoders are only ever handed what :meth:`JpegLayout.assemble` puts together: image data without comments,
thumbnails, further pictures, EXIF, ICC or XMP. So damaged metadata can't be fatal, and nothing of it ends up
in a derivative.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import unpack_from
from typing import BinaryIO, NamedTuple

from iiif_server.errors import SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP_SIGNATURE = b"Photoshop 3.0\0"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_METADATA = frozenset(range(0xE0, 0xF0)) | {COM}

# What ends entropy-coded data: a real marker. FF00 is a data byte, FFD0 to FFD7 are restarts, and reserved
# codes are damage that decoders step over.
_END_OF_DATA = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_CHUNK = 1 << 20
_MAX_SEGMENTS = 20_000
_MAX_JUNK = 64 * 1024
_MAX_BYTES_PER_PIXEL = 12
_MAX_BYTES_BESIDES = 16 << 20
_MAX_RESOURCES = 1 << 20
_LARGEST_SEGMENT = 2 + 0xFFFF
"""Bytes of a marker and its segment; of a scan the data comes behind."""


class Component(NamedTuple):
    """A colour component of the frame: its identifier and its sampling factors."""

    identifier: int
    horizontal: int
    vertical: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame header (SOFn).

    Attributes:
        kind: the marker's low byte; 0xC0 to 0xC2 are Huffman-coded baseline, extended and progressive.
        precision: bits per sample.
        size: as stored, in pixels.
        components: one for gray, three for YCbCr or RGB, four for CMYK or YCCK.
    """

    kind: int
    precision: int
    size: Dimensions
    components: tuple[Component, ...]

    @property
    def mcu(self) -> Dimensions:
        """Pixels per minimum coded unit: the grid on which blocks can be moved without decoding."""
        return Dimensions(
            8 * max(component.horizontal for component in self.components),
            8 * max(component.vertical for component in self.components),
        )


@dataclass(slots=True)
class JpegLayout:
    """Where what is in a JPEG file.

    Attributes:
        frame: the frame header.
        pieces: the byte ranges, or bytes, that make the image, in order; without metadata.
        exif: the payload of the first EXIF segment after its signature, if any.
        icc: the ICC profile, if there is a complete one.
        jfif: whether there is a JFIF segment.
        adobe_transform: the colour transform that the Adobe segment states, if there is one.
        xmp: the first XMP packet, if any.
        iptc: Photoshop's image resources, among which IPTC-IIM data lies; those of the first MiB.
        density: the JFIF segment's unit (1 inch, 2 centimetre) and pixels per unit across and down.
    """

    frame: Frame
    pieces: list[tuple[int, int] | bytes]
    exif: bytes | None
    icc: bytes | None
    jfif: bool
    adobe_transform: int | None
    xmp: bytes | None = None
    iptc: bytes | None = None
    density: tuple[int, int, int] | None = None

    @property
    def is_ycc(self) -> bool:
        """Tell whether three components are YCbCr, by the rules that libjpeg decodes by."""
        identifiers = bytes(component.identifier for component in self.frame.components)
        return len(identifiers) == 3 and components_are_ycc(
            identifiers, jfif=self.jfif, adobe_transform=self.adobe_transform
        )

    def head(self, file: BinaryIO) -> bytes:
        """The beginning of what :meth:`assemble` gives, down to the first scan's header at least.

        Raises:
            UnreadableSource: the file has become shorter since.
        """
        head = b""
        for piece in self.pieces:
            head += _piece(file, piece, _LARGEST_SEGMENT)
            if isinstance(piece, tuple) and _read(file, piece[0] + 1, 1)[0] == SOS:
                break
        return head

    def assemble(self, file: BinaryIO) -> bytes:
        """Put the image data together, from start marker to end marker.

        Raises:
            UnreadableSource: the file has become shorter since.
        """
        return b"".join(_piece(file, piece) for piece in self.pieces)


def components_are_ycc(identifiers: bytes, *, jfif: bool, adobe_transform: int | None) -> bool:
    """Tell whether three components are YCbCr, by the rules that libjpeg decodes by.

    Args:
        identifiers: of the components.
        jfif: whether there is a JFIF segment.
        adobe_transform: what the Adobe segment states, if there is one.
    """
    if jfif or adobe_transform is not None:
        return jfif or adobe_transform != 0
    return identifiers != b"RGB"


def read_layout(file: BinaryIO, *, max_pixels: int, max_scans: int) -> JpegLayout:
    """Walk through a JPEG file's segments up to its end marker, in bounded time and memory.

    Raises:
        UnreadableSource: this is not a whole JPEG file.
        SourceTooLarge: more pixels or scans than allowed.
    """
    walk = _Walk(file, max_pixels, max_scans)
    for marker, start, end in walk.segments():
        walk.take(marker, start, end)
    return walk.layout()


@dataclass(slots=True)
class _Walk:
    file: BinaryIO
    max_pixels: int
    max_scans: int
    frame: Frame | None = None
    pieces: list[tuple[int, int] | bytes] = field(default_factory=list)
    exif: bytes | None = None
    icc_chunks: dict[int, bytes] = field(default_factory=dict)
    icc_count: int = 0
    jfif: bool = False
    adobe_transform: int | None = None
    xmp: bytes | None = None
    resources: bytearray = field(default_factory=bytearray)
    density: tuple[int, int, int] | None = None
    scans: int = 0

    def segments(self) -> Iterator[tuple[int, int, int]]:
        """Yield marker, start and end of each segment; a scan's end is that of its entropy-coded data."""
        if _read(self.file, 0, 2) != b"\xff\xd8":
            raise _damaged("it does not start as a JPEG file")
        position = 2
        for _ in range(_MAX_SEGMENTS):
            marker, start = self._next_marker(position)
            if marker == EOI:
                return
            position = start + 2
            if marker == 0x01 or 0xD0 <= marker <= 0xD7:
                continue
            length = int.from_bytes(_read(self.file, position, 2))
            if length < 2 or marker == SOI or marker < 0xC0:
                raise _damaged("a segment has an impossible header")
            position += length
            if marker == SOS:
                position = self._end_of_scan(position)
            yield marker, start, position
        raise _damaged("it has too many segments")

    def take(self, marker: int, start: int, end: int) -> None:
        """Note what a segment tells, and keep it unless it is metadata."""
        if marker in _METADATA:
            self._take_metadata(marker, _read(self.file, start + 4, end - start - 4))
            return
        if marker in _FRAMES:
            if self.frame is not None:
                raise _damaged("it has two frame headers")
            self.frame = _parse_frame(marker, _read(self.file, start + 4, end - start - 4), self.max_pixels)
        self.pieces.append((start, end))

    def layout(self) -> JpegLayout:
        """What was found, once the end marker was reached."""
        if self.frame is None or not self.scans:
            raise _damaged("it holds no image")
        complete = 0 < self.icc_count == len(self.icc_chunks)
        icc = b"".join(self.icc_chunks[key] for key in sorted(self.icc_chunks)) if complete else None
        pieces = [b"\xff\xd8", *self.pieces, b"\xff\xd9"]
        facts = (self.exif, icc, self.jfif, self.adobe_transform, self.xmp, bytes(self.resources) or None)
        return JpegLayout(self.frame, pieces, *facts, self.density)

    def _take_metadata(self, marker: int, payload: bytes) -> None:
        if marker == APP0 and payload.startswith(b"JFIF\0") and len(payload) >= 14 and not self.jfif:
            self.jfif = True
            self.density = unpack_from(">BHH", payload, 7)
            self.pieces.append(b"\xff\xe0\x00\x10" + payload[:12] + b"\x00\x00")  # without its thumbnail
        elif marker == APP14 and payload.startswith(b"Adobe") and len(payload) >= 12:
            self.adobe_transform = payload[11]
            self.pieces.append(b"\xff\xee\x00\x0e" + payload[:12])
        elif marker == APP1 and payload.startswith(b"Exif\0") and self.exif is None:
            self.exif = payload[6:]
        elif marker == APP1 and payload.startswith(XMP_SIGNATURE) and self.xmp is None:
            self.xmp = payload[len(XMP_SIGNATURE) :]
        elif marker == APP13 and payload.startswith(PHOTOSHOP_SIGNATURE):
            # One resource may go on in the next segment.
            self.resources += payload[len(PHOTOSHOP_SIGNATURE) :][: _MAX_RESOURCES - len(self.resources)]
        elif marker == APP2 and payload.startswith(b"ICC_PROFILE\0") and len(payload) > 14:
            self.icc_chunks.setdefault(payload[12], payload[14:])
            self.icc_count = payload[13]

    def _next_marker(self, position: int) -> tuple[int, int]:
        """Find the next marker; decoders step over fill bytes and a little junk, and so does this."""
        window = _read_up_to(self.file, position, 4)
        if len(window) == 4 and window[0] == 0xFF and window[1] not in {0x00, 0xFF}:
            return window[1], position
        window = _read_up_to(self.file, position, _MAX_JUNK)
        match = re.search(rb"\xff([^\x00\xff])", window)
        if match is None:
            raise _damaged("it ends before its end marker")
        return match[1][0], position + match.start()

    def _end_of_scan(self, position: int) -> int:
        self.scans += 1
        if self.frame is None:
            raise _damaged("a scan comes before the frame header")
        if self.scans > self.max_scans:
            raise SourceTooLarge("The source image is a JPEG file of more scans than this server decodes.")
        pixels = self.frame.size.width * self.frame.size.height
        limit = position + _MAX_BYTES_BESIDES + _MAX_BYTES_PER_PIXEL * pixels
        while position < limit:
            chunk = _read_up_to(self.file, position, _CHUNK)
            if match := _END_OF_DATA.search(chunk):
                return position + match.start()
            if len(chunk) < 2:
                raise _damaged("it ends before its end marker")
            position += len(chunk) - 1  # a marker may straddle two chunks
        raise _damaged("it holds more data than its pixels need")


def _parse_frame(marker: int, payload: bytes, max_pixels: int) -> Frame:
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise _damaged("its frame header is cut short")
    precision, height, width, count = unpack_from(">BHHB", payload)
    components = tuple(
        Component(payload[at], payload[at + 1] >> 4, payload[at + 1] & 15)
        for at in range(6, 6 + 3 * count, 3)
    )
    if precision != 8 or count not in {1, 3, 4}:
        raise UnreadableSource(
            f"The source image is a JPEG file of {count} x {precision} bits: not supported."
        )
    if (
        not width
        or not height
        or not all(1 <= part.horizontal <= 4 >= part.vertical >= 1 for part in components)
    ):
        raise _damaged("its frame header holds impossible values")
    if width * height > max_pixels:
        raise SourceTooLarge(
            f"The source image has {width} x {height} pixels, more than this server decodes."
        )
    return Frame(marker, precision, Dimensions(width, height), components)


def _piece(file: BinaryIO, piece: tuple[int, int] | bytes, most: int | None = None) -> bytes:
    if isinstance(piece, bytes):
        return piece
    length = piece[1] - piece[0]
    return _read(file, piece[0], length if most is None else min(length, most))


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    data = _read_up_to(file, start, length)
    if len(data) != length:
        raise _damaged("it ends before its end marker")
    return data


def _read_up_to(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start, os.SEEK_SET)
    return file.read(length)


def _damaged(what: str) -> UnreadableSource:
    return UnreadableSource(f"The source image is a damaged JPEG file: {what}.")

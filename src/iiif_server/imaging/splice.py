"""A tile of a TIFF to a JPEG file of its own: the shared tables go in front, and nothing is decoded.

TIFF Technical Note 2 keeps what all tiles have in common in the tag JPEGTables: each tile is a JPEG stream
without it.
"""

from __future__ import annotations

from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.jpeg import APP0, APP14, SOS, components_are_ycc
from iiif_server.imaging.tiles import TileLevel

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_DQT, _DHT, _DRI = 0xDB, 0xC4, 0xDD
_TABLES = frozenset({_DQT, _DHT})
_KEPT = _TABLES | {_DRI}
_BASELINE, _EXTENDED = 0xC0, 0xC1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}
_MAX_SEGMENTS = 64
# JFIF says gray or YCbCr (ITU-T T.871), Adobe's segment with transform 0 says RGB; without, decoders guess.
_JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class _Segment(NamedTuple):
    """A segment of a JPEG stream: its marker's low byte, its first byte and the one after its last."""

    marker: int
    start: int
    end: int


def shared_tables(stream: bytes) -> bytes | None:
    """What is to go in front of tiles of the tag JPEGTables; ``None`` if it is damaged."""
    if not stream.startswith(_SOI) or not stream.endswith(_EOI):
        return None
    segments = _segments(stream[:-2])
    if segments is None:
        return None
    return b"".join(stream[part.start : part.end] for part in segments if part.marker in _TABLES)


def whole_jpeg(level: TileLevel, data: bytes | bytearray) -> bytes | None:
    """A tile as a JPEG file; ``None`` if it is none that can be passed on.

    It has to be complete, Huffman-coded in one pass (baseline, or extended of 8 bits), and of the level's
    tile size and number of components. Metadata is left out.

    Args:
        level: that it is of.
        data: as stored.
    """
    if not data.endswith(_EOI):
        data = data.rstrip(b"\0")  # what fills it up to a round number
    if not data.startswith(_SOI) or not data.endswith(_EOI):
        return None
    segments = _segments(data)
    if not segments or segments[-1].marker != SOS:
        return None
    frames = [part for part in segments if part.marker in _FRAMES]
    if len(frames) != 1 or not _fits(data[frames[0].start : frames[0].end], level):
        return None
    means_rgb = level.components > 1 and (level.is_rgb or not _is_ycc(data, segments, frames[0]))
    kept = (data[part.start : part.end] for part in segments[:-1] if part.marker in _KEPT or part in frames)
    scan = memoryview(data)[segments[-1].start :]
    return b"".join((_SOI, _RGB if means_rgb else _JFIF, level.tables, *kept, scan))


def _segments(data: bytes | bytearray) -> list[_Segment] | None:
    """The segments from the start marker to the first scan's header, or to the end; ``None`` of no JPEG."""
    found: list[_Segment] = []
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at == len(data):
            return found
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker < 0xC0 or 0xD0 <= marker < SOS or end < at + 4 or end > len(data):
            return None
        found.append(_Segment(marker, at, end))
        if marker == SOS:
            return found
        at = end
    return None


def _fits(frame: bytes | bytearray, level: TileLevel) -> bool:
    """Tell whether a frame header is of the kind and size that a tile of this level has."""
    size = Dimensions(int.from_bytes(frame[7:9]), int.from_bytes(frame[5:7]))
    return (
        frame[1] in {_BASELINE, _EXTENDED}
        and len(frame) == 10 + 3 * level.components
        and frame[4] == 8
        and size == level.tile
        and frame[9] == level.components
    )


def _is_ycc(data: bytes | bytearray, segments: list[_Segment], frame: _Segment) -> bool:
    """What a decoder makes of three components, by the tile's own words."""
    jfif, adobe = False, None
    for marker, start, end in segments:
        if marker == APP0 and end - start >= 18 and data.startswith(b"JFIF\0", start + 4):
            jfif = True
        elif marker == APP14 and end - start >= 16 and data.startswith(b"Adobe", start + 4):
            adobe = data[start + 15]
    identifiers = data[frame.start + 10 : frame.end : 3]
    return components_are_ycc(identifiers, jfif=jfif, adobe_transform=adobe)

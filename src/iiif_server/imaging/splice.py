"""A tile of a TIFF to a JPEG file of its own: the shared tables go in front, and nothing is decoded.

TIFF Technical Note 2 keeps what all tiles have in common in the tag JPEGTables: each tile is a JPEG stream
without it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.jpeg import APP0, APP14, components_are_ycc
from iiif_server.imaging.tiles import TileLevel

_SOI, _SOS, _EOI = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_MAX_HEAD = 4096
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


def whole_jpeg(level: TileLevel, data: bytes | memoryview) -> bytes | None:
    """A tile as a JPEG file; ``None`` if it is none that can be passed on.

    It has to be complete, Huffman-coded in one pass (baseline, or extended of 8 bits), and of the level's
    tile size and number of components. Metadata is left out.

    Args:
        level: that it is of.
        data: as stored.
    """
    if data[-2:] != _EOI:
        data = bytes(data).rstrip(b"\0")  # what fills it up to a round number
        if not data.endswith(_EOI):
            return None
    start = bytes(data[:_MAX_HEAD])
    at = start.find(_SOS)
    while at > 0:
        front = _front(start[:at], level.tile, level.components, level.is_rgb, level.tables)
        if front is not None:
            return b"".join((front, memoryview(data)[at:]))
        at = start.find(_SOS, at + 1)  # that was within a table
    return None


@lru_cache(maxsize=256)
def _front(head: bytes, tile: Dimensions, components: int, is_rgb: bool, tables: bytes) -> bytes | None:
    """What goes in front of a tile's scan; remembered, as nearly all tiles of a level begin alike.

    Args:
        head: the tile up to its scan.
        tile: the size that it has to be of.
        components: how many it has to have.
        is_rgb: whether three of them are red, green and blue, whatever the head says.
        tables: what tiles share.
    """
    segments = _segments(head)
    if not segments:
        return None
    frames = [part for part in segments if part.marker in _FRAMES]
    if len(frames) != 1 or not _fits(head[frames[0].start : frames[0].end], tile, components):
        return None
    means_rgb = components > 1 and (is_rgb or not _is_ycc(head, segments, frames[0]))
    kept = (head[part.start : part.end] for part in segments if part.marker in _KEPT or part in frames)
    return b"".join((_SOI, _RGB if means_rgb else _JFIF, tables, *kept))


def _segments(head: bytes) -> list[_Segment] | None:
    """The segments from the start marker to the end; ``None`` of something else."""
    if not head.startswith(_SOI):
        return None
    found: list[_Segment] = []
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at == len(head):
            return found
        if at + 4 > len(head) or head[at] != 0xFF:
            return None
        marker, end = head[at + 1], at + 2 + int.from_bytes(head[at + 2 : at + 4])
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker < 0xC0 or 0xD0 <= marker <= 0xDA or end < at + 4 or end > len(head):
            return None
        found.append(_Segment(marker, at, end))
        at = end
    return None


def _fits(frame: bytes, tile: Dimensions, components: int) -> bool:
    """Tell whether a frame header is of the kind and size that a tile has."""
    return (
        frame[1] in {_BASELINE, _EXTENDED}
        and len(frame) == 10 + 3 * components
        and frame[4] == 8
        and (int.from_bytes(frame[7:9]), int.from_bytes(frame[5:7])) == tile
        and frame[9] == components
    )


def _is_ycc(head: bytes, segments: list[_Segment], frame: _Segment) -> bool:
    """What a decoder makes of three components, by the tile's own words."""
    jfif, adobe = False, None
    for marker, start, end in segments:
        if marker == APP0 and end - start >= 18 and head.startswith(b"JFIF\0", start + 4):
            jfif = True
        elif marker == APP14 and end - start >= 16 and head.startswith(b"Adobe", start + 4):
            adobe = head[start + 15]
    return components_are_ycc(head[frame.start + 10 : frame.end : 3], jfif=jfif, adobe_transform=adobe)

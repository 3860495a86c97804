"""The tiles of a JPEG 2000 codestream: where they lie, and codestreams that hold only some of them.

A tile does not depend on the others: wavelets end at its edge. So what decodes the codestream made here gives
the same pixels as what decodes the whole. See docs/adr/0010-tiles-of-jpeg-2000.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from iiif_server.errors import SourceTooLarge
from iiif_server.imaging.readers.codestream import COC, COD, EOC, SOT, MainHeader, ReadAt, walk

_HEAD = ">HHHIBB"
_HEAD_SIZE, _HEAD_LENGTH = 12, 10
_SMALLEST = _HEAD_SIZE + 2
_STYLES = frozenset({COD, COC})
_EOC = struct.pack(">H", EOC)
_MAX_SEGMENTS = 1 << 17
"""So many are looked at, tile-parts and what their headers hold: a quarter of a second."""
_MAX_BYTES = 1 << 29


class TilePart(NamedTuple):
    """A piece of a tile's data: where it begins and ends."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TiledCodestream:
    """A codestream whose tiles are known.

    Attributes:
        header: its main header.
        parts: of each tile that is there, by its number, in the order in which they are stored.
    """

    header: MainHeader
    parts: dict[int, list[TilePart]]

    def excerpt(self, read: ReadAt, columns: range, rows: range, factor: int) -> Excerpt:
        """A codestream of some tiles, for decoding at a factor.

        Args:
            read: reads where the codestream lies.
            columns: of tiles that are wanted.
            rows: of tiles that are wanted.
            factor: one at which the header reduces.

        Raises:
            ValueError: the file has not all of them.
            SourceTooLarge: they are too many bytes.
        """
        across, down = self.header.across.cut(columns, factor), self.header.down.cut(rows, factor)
        width, new_width = self.header.across.count, across.axis.count
        found: list[tuple[TilePart, int]] = []
        for row in rows:
            for column in columns:
                parts = self.parts.get(row * width + column)
                if parts is None:
                    raise ValueError(f"tile {column}, {row} is missing or cut off")
                number = (row - down.first) * new_width + column - across.first
                found.extend((part, number) for part in parts)
        if sum(part.end - part.start for part, _ in found) > _MAX_BYTES:
            raise SourceTooLarge("The source image's tiles have more bytes than this server reads at once.")
        data = [self.header.rewritten(across.axis, down.axis)]
        data += (_renumbered(read(part.start, part.end - part.start), number) for part, number in found)
        width, height = across.axis.length, down.axis.length
        return Excerpt(b"".join((*data, _EOC)), width, height, across.origin, down.origin)


class Excerpt(NamedTuple):
    """Some tiles as a codestream of their own.

    Attributes:
        data: the codestream.
        width: that its header states.
        height: that its header states.
        x: of its first column, in the whole level.
        y: of its first row, in the whole level.
    """

    data: bytes
    width: int
    height: int
    x: int
    y: int


def read_tile_parts(read: ReadAt, header: MainHeader, end: int) -> TiledCodestream | None:
    """Find the tile-parts (A.4.2). Where the chain is broken it ends: what comes after is not there.

    Args:
        read: reads where the codestream lies.
        header: its main header.
        end: of the codestream.

    Returns:
        ``None`` if tiles are coded otherwise than the main header says, or there are too many parts.
    """
    found: dict[int, list[TilePart]] = {}
    count, at, seen = header.across.count * header.down.count, header.end, 0
    while seen < _MAX_SEGMENTS:
        head = read(at, _HEAD_SIZE)
        if len(head) < _HEAD_SIZE:
            return TiledCodestream(header, found)
        marker, length, tile, size, part, _ = struct.unpack(_HEAD, head)
        stop = at + size if size else _before_the_end(read, end)  # 0: up to the end
        if (marker, length) != (SOT, _HEAD_LENGTH) or tile >= count or not at + _SMALLEST <= stop <= end:
            return TiledCodestream(header, found)
        markers = () if part else _markers(read, at)
        if not _STYLES.isdisjoint(markers):
            return None
        found.setdefault(tile, []).append(TilePart(at, stop))
        seen += 1 + len(markers)
        at = stop
    return None


def _before_the_end(read: ReadAt, end: int) -> int:
    return end - 2 if read(end - 2, 2) == _EOC else end


def _markers(read: ReadAt, at: int) -> list[int]:
    """What the header of a tile's first part holds: there it is told if the tile is coded otherwise."""
    try:
        return [segment.marker for segment in walk(read, at + _HEAD_SIZE)]
    except ValueError:
        return []  # damaged, which hurts this tile alone


def _renumbered(part: bytes, number: int) -> bytes:
    """The tile-part as one of another tile; of known length, which only the last may do without."""
    if len(part) < _SMALLEST:
        raise ValueError("the file has become shorter")
    return part[:4] + struct.pack(">HI", number, len(part)) + part[10:]

"""Where the tiles are in a pyramid: a table behind its TIFF, which other readers of the file never see.

The file's last bytes tell where the table is. It lists, level by level and row by row, offset and length of
each tile as it is served. No codec, no TIFF library: a look-up is one read.
"""

from __future__ import annotations

import json
import os
from binascii import crc32
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from struct import Struct
from typing import BinaryIO, NamedTuple

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import TILE, ceil_div, is_tile, level_size, scale_factors
from iiif_server.iiif.parameters import Format, Quality, Rotation
from iiif_server.iiif.resolve import Operation

_FOOTER = Struct("<QQI12s")
_MAGIC = b"IIIF-pyramid"
_ENTRY = Struct("<QI")
_LARGEST = 64 << 20
_UPRIGHT = Rotation(Decimal(0), mirror=False)


class Span(NamedTuple):
    """A stretch of the file, in bytes."""

    offset: int
    length: int


class DamagedPyramid(Exception):
    """The file is not a whole pyramid."""


@dataclass(frozen=True, slots=True)
class TileIndex:
    """Where each tile of an image is.

    Attributes:
        image: size of the full, upright image.
        levels: by scale factor, offset and length of each tile, row by row, packed.
    """

    image: Dimensions
    levels: Mapping[int, bytes]

    @property
    def tiles(self) -> int:
        """How many there are."""
        return sum(map(len, self.levels.values())) // _ENTRY.size

    def find(self, operation: Operation) -> Span | None:
        """Where the answer to a request is, if that is one of the tiles."""
        factor = factor_of(operation)
        if factor is None or operation.image != self.image:
            return None
        table, step = self.levels[factor], TILE.width * factor
        columns = ceil_div(self.image.width, step)
        number = operation.region.y // (TILE.height * factor) * columns + operation.region.x // step
        return Span(*_ENTRY.unpack_from(table, number * _ENTRY.size))

    def spans(self) -> list[Span]:
        """All tiles, level by level, row by row."""
        return [Span(*entry) for table in self.levels.values() for entry in _ENTRY.iter_unpack(table)]


def factor_of(operation: Operation) -> int | None:
    """The scale factor of the tile that a request is: upright, in every colour, as JPEG.

    ``None`` if it is no tile of the ladder that info.json states of a flat source.
    """
    if (
        operation.format is not Format.JPG
        or operation.quality is not Quality.DEFAULT
        or operation.rotation.degrees
        or operation.rotation.mirror
    ):
        return None
    region, image = operation.region, operation.image
    for factor in scale_factors(image, TILE):
        if operation.size == level_size(region.size, factor) and is_tile(region, image, factor):
            return factor
    return None


def tiles_of(image: Dimensions, factor: int) -> list[Rectangle]:
    """The regions of a level's tiles, in pixels of the full image, row by row."""
    width, height = TILE.width * factor, TILE.height * factor
    return [
        Rectangle(x, y, min(width, image.width - x), min(height, image.height - y))
        for y in range(0, image.height, height)
        for x in range(0, image.width, width)
    ]


def tile_request(image: Dimensions, region: Rectangle, factor: int) -> Operation:
    """The request for a tile, as viewers make it."""
    size = level_size(region.size, factor)
    return Operation(image, region, size, _UPRIGHT, Quality.DEFAULT, Format.JPG)


def write_index(out: BinaryIO, image: Dimensions, levels: Mapping[int, Sequence[Span]]) -> None:
    """Write the table, and what tells where it is, from the file's present position on."""
    tables = {factor: b"".join(_ENTRY.pack(*span) for span in spans) for factor, spans in levels.items()}
    head = json.dumps({"image": image, "levels": {str(key): len(tables[key]) for key in tables}}).encode()
    data = head + b"\n" + b"".join(tables.values())
    offset = out.tell()
    out.write(data + _FOOTER.pack(offset, len(data), crc32(data), _MAGIC))


def read_index(descriptor: int) -> TileIndex:
    """Read the table of an open pyramid.

    Raises:
        DamagedPyramid: there is none, or it is not whole.
        OSError: it can't be read.
    """
    end = os.fstat(descriptor).st_size
    footer = os.pread(descriptor, _FOOTER.size, max(0, end - _FOOTER.size))
    if len(footer) != _FOOTER.size:
        raise DamagedPyramid("it is too short")
    offset, length, checksum, magic = _FOOTER.unpack(footer)
    if magic != _MAGIC or length > _LARGEST or offset + length + _FOOTER.size != end:
        raise DamagedPyramid("it does not end as a pyramid does")
    data = os.pread(descriptor, length, offset)
    if crc32(data) != checksum:
        raise DamagedPyramid("its table is damaged")
    head, _, tables = data.partition(b"\n")
    facts = json.loads(head)
    image, levels, at = Dimensions(*facts["image"]), {}, 0
    for factor, size in facts["levels"].items():
        levels[int(factor)] = tables[at : at + size]
        at += size
    return _checked(TileIndex(image, levels), offset)


def read_tile(descriptor: int, span: Span) -> bytes:
    """Read one tile: a whole JPEG file.

    Raises:
        DamagedPyramid: it is not.
        OSError: it can't be read.
    """
    data = os.pread(descriptor, span.length, span.offset)
    if len(data) != span.length or not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9"):
        raise DamagedPyramid("a tile is damaged")
    return data


def _checked(index: TileIndex, end: int) -> TileIndex:
    """Hold a table against the ladder: another one, of another release, say, is of no use."""
    expected = {factor: len(tiles_of(index.image, factor)) for factor in scale_factors(index.image, TILE)}
    if {factor: len(table) // _ENTRY.size for factor, table in index.levels.items()} != expected:
        raise DamagedPyramid("its levels are not those of its image")
    if any(span.offset + span.length > end for span in index.spans()):
        raise DamagedPyramid("it states tiles beyond its end")
    return index

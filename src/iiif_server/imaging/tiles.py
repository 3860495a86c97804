"""Which stored tile of a pyramid a request is: pure functions over what a source's header tells.

The server's process holds these values, and so copies tiles without a worker; workers plan by the same ones.
No codec and no numpy here. See docs/adr/0008-stored-tiles.md.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import ceil_div, on_grid
from iiif_server.iiif.resolve import Operation

OFFSET: Final = "Q"
"""The type of machine word of a tile's offset in the file."""

COUNT: Final = "I"
"""The type of machine word of a tile's length."""

_BESIDES = 512
"""Bytes counted for a level besides its tables and positions."""


@dataclass(frozen=True, slots=True)
class TileLevel:
    """A level that is stored as JPEG tiles which may be passed on: 8 bits, upright, in sRGB or gray.

    Attributes:
        factor: by which it is smaller than the image.
        size: as stored; where its maker rounded down it lacks the last column or row.
        tile: the size of each tile; those at the edges are padded to it.
        mcu: the grid on which a tile's blocks can be moved, if the tiles are as the file says they are.
        components: 1 for gray, 3 for colour.
        is_rgb: whether three components are red, green and blue, whatever the tiles say.
        tables: the segments that all tiles share: quantisation and Huffman tables.
        offsets: of the tiles in the file, row by row; 0 or anything for those that are not there.
        counts: of each tile's bytes; 0 for those that are not there.
    """

    factor: int
    size: Dimensions
    tile: Dimensions
    mcu: Dimensions
    components: int
    is_rgb: bool
    tables: bytes
    offsets: Sequence[int]
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class StoredTile:
    """What of a stored tile a request wants, at the level's scale, before it is turned.

    Attributes:
        level: that it is of.
        number: of the tile, row by row from 0.
        crop: the part of the tile.
    """

    level: TileLevel
    number: int
    crop: Rectangle

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing has to be cut off."""
        return self.crop == (0, 0, *self.level.tile)

    @property
    def is_gray(self) -> bool:
        """Tell whether there is no colour to take away."""
        return self.level.components == 1


def find_tile(levels: Iterable[TileLevel], operation: Operation) -> StoredTile | None:
    """The stored tile that holds, pixel for pixel, what an operation wants before it is turned.

    Args:
        levels: of the image; ascending by their factors.
        operation: on the image of that very size.
    """
    (_, _, region_width, region_height), (width, height) = operation.region, operation.size
    found = None
    for level in levels:
        factor = level.factor
        # Written out, as this is asked at every request: the size is the region's, divided and rounded up.
        if (width - 1) * factor < region_width <= width * factor and (
            (height - 1) * factor < region_height <= height * factor
        ):
            found = _within(level, operation) or found
    return found


def _within(level: TileLevel, operation: Operation) -> StoredTile | None:
    factor, (width, height), tile = level.factor, operation.size, level.tile
    if width > tile.width or height > tile.height or not on_grid(operation.region, operation.image, factor):
        return None
    x, y = operation.region.x // factor, operation.region.y // factor
    if x + width > level.size.width or y + height > level.size.height:
        return None  # its maker rounded down
    column, row = x // tile.width, y // tile.height
    crop = Rectangle(x - column * tile.width, y - row * tile.height, width, height)
    if crop.x + width > tile.width or crop.y + height > tile.height:
        return None
    return StoredTile(level, row * ceil_div(level.size.width, tile.width) + column, crop)


@dataclass(frozen=True, slots=True)
class TileIndex:
    """Where the tiles of an image lie in its file.

    Attributes:
        image: the full size, in pixels.
        levels: those whose tiles may be passed on, ascending by their factors; empty if there is none.
    """

    image: Dimensions
    levels: tuple[TileLevel, ...]

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return sum(_BESIDES + len(level.tables) + 12 * len(level.counts) for level in self.levels)

    def find(self, operation: Operation) -> StoredTile | None:
        """See :func:`find_tile`; of another image than this one nothing is found."""
        return find_tile(self.levels, operation) if operation.image == self.image else None

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """As a worker sends it: a JSON object, and the positions as machine words."""
        levels = [
            (
                *(level.factor, level.size, level.tile, level.mcu, level.components, level.is_rgb),
                level.tables.hex(),
                len(level.counts),
            )
            for level in self.levels
        ]
        words = ((array(OFFSET, level.offsets), array(COUNT, level.counts)) for level in self.levels)
        return {"image": self.image, "levels": levels}, b"".join(chain.from_iterable(words))

    @classmethod
    def unpack(cls, meta: dict[str, Any], body: bytes) -> TileIndex:
        """Read what :meth:`pack` made; the positions are not copied.

        Raises:
            ValueError: it made no such thing.
        """
        try:
            view, at, levels = memoryview(body), 0, []
            for *described, count in meta["levels"]:
                end = at + 12 * count
                levels.append(_unpacked(described, count, view[at:end]))
                at = end
            return cls(_sides(meta["image"]), tuple(levels))
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not an index of tiles: {error!r}") from error


def _unpacked(described: Sequence[Any], count: int, words: memoryview) -> TileLevel:
    """One level, with a position for each of its tiles."""
    factor, size, tile, mcu, components, is_rgb, tables = described
    size, tile = _sides(size), _sides(tile)
    if count != ceil_div(size.width, tile.width) * ceil_div(size.height, tile.height):
        raise ValueError("an index has another number of tiles than its level")
    if len(words) < 12 * count:
        raise ValueError("an index of tiles ends early")
    return TileLevel(
        int(factor),
        size,
        tile,
        _sides(mcu),
        int(components),
        bool(is_rgb),
        bytes.fromhex(tables),
        words[: 8 * count].cast(OFFSET),
        words[8 * count :].cast(COUNT),
    )


def _sides(pair: Iterable[Any]) -> Dimensions:
    sides = Dimensions(*map(int, pair))
    if min(sides) < 1:
        raise ValueError("an index of tiles has a side of 0")
    return sides

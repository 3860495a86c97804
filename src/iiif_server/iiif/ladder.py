"""The one rounding ladder: level sizes, advertised sizes, tiles and scale factors of an image.

Viewers divide the full size by a scale factor and round up, so every level here is ``ceil(side / factor)``
(Image API 3.0 sections 5.3 and 5.4 and the implementation notes on tiles). info.json and the resolving of
requests both read this module, which is why what is advertised is served exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions, Rectangle

TILE = Dimensions(512, 512)
"""The tile size that is advertised of what is not stored in tiles, in pixels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest result that is served, in pixels; ``None`` is no limit (section 5.2).

    ``max_height`` without ``max_width`` is refused by the configuration, as the specification asks.
    """

    max_width: int | None = None
    max_height: int | None = None
    max_area: int | None = None

    def allow(self, size: Dimensions) -> bool:
        """Tell whether a result of this size may be made."""
        max_height = self.max_height if self.max_height is not None else self.max_width
        return (
            (self.max_width is None or size.width <= self.max_width)
            and (max_height is None or size.height <= max_height)
            and (self.max_area is None or size.width * size.height <= self.max_area)
        )

    @property
    def any(self) -> bool:
        """Tell whether there is a limit, without which no upscaling may be offered (section 5.7)."""
        return self.max_width is not None or self.max_area is not None


class TileGrid(NamedTuple):
    """One entry of ``tiles``: a tile size and the scale factors at which such tiles come cheap."""

    width: int
    height: int
    scale_factors: tuple[int, ...]


def ceil_div(value: int, divisor: int) -> int:
    """Integer division that rounds up."""
    return -(-value // divisor)


def level_size(image: Dimensions, factor: int) -> Dimensions:
    """The image's size at a scale factor, as viewers compute it."""
    return Dimensions(ceil_div(image.width, factor), ceil_div(image.height, factor))


def scale_factors(image: Dimensions, tile: Dimensions) -> tuple[int, ...]:
    """Powers of two from 1 to the first at which the whole image fits into one tile."""
    factors = [1]
    while True:
        level = level_size(image, factors[-1])
        if level.width <= tile.width and level.height <= tile.height:
            return tuple(factors)
        factors.append(factors[-1] * 2)


def tile_grid(image: Dimensions, limits: Limits, tile: Dimensions = TILE) -> TileGrid | None:
    """The tiles to advertise, or ``None`` where the limits allow no tile of this size (section 5.2).

    An image that is narrower or lower than a tile has the same grid if the tile's size is stated as its own,
    which is what the limits may demand.
    """
    clipped = Dimensions(min(tile.width, image.width), min(tile.height, image.height))
    if not limits.allow(clipped):
        return None
    return TileGrid(*(tile if limits.allow(tile) else clipped), scale_factors(image, tile))


def full_scale_tiles(image: Dimensions) -> Iterator[Rectangle]:
    """The tiles at scale factor 1, row by row."""
    for y in range(0, image.height, TILE.height):
        for x in range(0, image.width, TILE.width):
            yield Rectangle(x, y, min(TILE.width, image.width - x), min(TILE.height, image.height - y))


def advertised_sizes(image: Dimensions, limits: Limits, min_side: int) -> tuple[Dimensions, ...]:
    """The halves of the full size within the limits, ascending; both sides stay at least ``min_side``.

    The full size itself is always a candidate, however small the image is.
    """
    sizes = [image]
    factor = 2
    while min(level := level_size(image, factor)) >= min_side and level != sizes[-1]:
        sizes.append(level)
        factor *= 2
    return tuple(size for size in reversed(sizes) if limits.allow(size))


def region_levels(region: Rectangle, image: Dimensions) -> list[Dimensions]:
    """The sizes at which a region is, pixel for pixel, a part of a level of the image, largest first.

    A viewer that asks for ``w,`` or ``,h`` means one of these, whatever its tile size is, with the other side
    rounded up as well. A region at the right or bottom edge can be the last tile of several levels.
    """
    factors = itertools.takewhile(
        lambda factor: on_grid(region, image, factor), (2**k for k in range(max(image).bit_length() + 1))
    )
    return [level_size(region.size, factor) for factor in factors]


def on_grid(region: Rectangle, image: Dimensions, factor: int) -> bool:
    """Tell whether a region's edges lie between pixels of the level at this factor, or at the image's end."""
    x, y, width, height = region
    right, bottom = x + width, y + height
    return (
        x % factor == 0
        and y % factor == 0
        and (right % factor == 0 or right == image.width)
        and (bottom % factor == 0 or bottom == image.height)
    )


def is_tile(region: Rectangle, image: Dimensions, factor: int) -> bool:
    """Tell whether a region is exactly one tile at this scale factor."""
    step_x, step_y = TILE.width * factor, TILE.height * factor
    return (
        region.x % step_x == 0
        and region.y % step_y == 0
        and region.width == min(step_x, image.width - region.x)
        and region.height == min(step_y, image.height - region.y)
    )

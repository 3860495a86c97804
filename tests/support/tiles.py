"""The tiles that a viewer asks for, by OpenSeadragon's own formulas and from info.json alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any


@dataclass(frozen=True)
class Tile:
    """One tile of one level.

    Attributes:
        factor: the level's scale factor.
        left: where the tile begins in the level, in pixels.
        top: the same.
        width: of the tile, in pixels.
        height: the same.
        parameters: region and size of the request.
    """

    factor: int
    left: int
    top: int
    width: int
    height: int
    parameters: str


def level_size(info: dict[str, Any], factor: int) -> tuple[int, int]:
    """The size of a level in pixels."""
    return ceil(info["width"] / factor), ceil(info["height"] / factor)


def viewer_tiles(info: dict[str, Any], factor: int) -> Iterator[Tile]:
    """Every tile of a level."""
    grid = next(tiles for tiles in info["tiles"] if factor in tiles["scaleFactors"])
    tile_width, tile_height = grid["width"], grid.get("height", grid["width"])
    level_width, level_height = level_size(info, factor)
    for top in range(0, level_height, tile_height):
        for left in range(0, level_width, tile_width):
            width, height = min(tile_width, level_width - left), min(tile_height, level_height - top)
            region = _region(info, left * factor, top * factor, tile_width * factor, tile_height * factor)
            size = "max" if (width, height) == (info["width"], info["height"]) else f"{width},{height}"
            yield Tile(factor, left, top, width, height, f"{region}/{size}")


def _region(info: dict[str, Any], x: int, y: int, width: int, height: int) -> str:
    width, height = min(width, info["width"] - x), min(height, info["height"] - y)
    if (x, y, width, height) == (0, 0, info["width"], info["height"]):
        return "full"
    return f"{x},{y},{width},{height}"

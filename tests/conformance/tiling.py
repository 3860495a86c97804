"""The requests that ``sizes`` and ``tiles`` imply, by the implementation notes of both versions."""

from collections.abc import Iterator
from typing import Any, NamedTuple


class Tile(NamedTuple):
    """One tile: its scale factor, its region of the full image, and the size to ask for, in pixels."""

    factor: int
    region: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def address(self) -> str:
        """Region and size of its request."""
        return f"{','.join(map(str, self.region))}/{self.size[0]},{self.size[1]}"

    @property
    def covered(self) -> tuple[int, int, int, int]:
        """The region that its pixels stand for: as much larger as its size was rounded up."""
        return *self.region[:2], self.size[0] * self.factor, self.size[1] * self.factor


def tiles_of(document: dict[str, Any]) -> Iterator[Tile]:
    """Every tile that an image information document describes, at every scale factor."""
    for entry in document.get("tiles", []):
        for factor in entry["scaleFactors"]:
            yield from _level(document, entry["width"], entry.get("height", entry["width"]), factor)


def within(limits: dict[str, int], width: int, height: int) -> bool:
    """Tell whether ``maxWidth``, ``maxHeight`` and ``maxArea`` allow a size."""
    max_width = limits.get("maxWidth", width)
    max_height = limits.get("maxHeight", limits.get("maxWidth", height))
    return (
        width <= max_width
        and height <= max_height
        and width * height <= limits.get("maxArea", width * height)
    )


def _level(document: dict[str, Any], tile_width: int, tile_height: int, factor: int) -> Iterator[Tile]:
    width, height = document["width"], document["height"]
    for y in range(0, height, tile_height * factor):
        for x in range(0, width, tile_width * factor):
            region_width, size_width = _side(x, tile_width, factor, width)
            region_height, size_height = _side(y, tile_height, factor, height)
            yield Tile(factor, (x, y, region_width, region_height), (size_width, size_height))


def _side(start: int, tile: int, factor: int, full: int) -> tuple[int, int]:
    """Length of a region, and of what it is scaled to; partial tiles are rounded up."""
    if start + tile * factor > full:
        return full - start, (full - start + factor - 1) // factor
    return tile * factor, tile

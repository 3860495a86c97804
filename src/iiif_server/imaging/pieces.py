"""The pieces of a source that are decoded and kept as a whole: pure geometry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import ceil_div

_SMALLEST = 512
"""Tiles are taken together to at least so many pixels a side: each piece costs the set-up of a decoder."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tiles that a source is stored in, of which none can be decoded in part.

    Attributes:
        tile: the size of a full one, in pixels of the image.
        x: where the first column begins: at 0, or before the image.
        y: where the first row begins: the same.
        is_cheap: whether a piece costs little to decode: then each tile is one, and a part that cuts none, as
            viewers want them, is not worth keeping.
    """

    tile: Dimensions
    x: int = 0
    y: int = 0
    is_cheap: bool = False

    def pays(self, part: Rectangle, level: Dimensions, reduction: int) -> bool:
        """Tell whether to decode a part of a level by its pieces, which neighbours may need as well."""
        if not self.is_cheap:
            return True
        covered = list(self.touched(part, level, reduction))
        first, last = covered[0], covered[-1]
        ends = (last.x + last.width - first.x, last.y + last.height - first.y)
        return (first.x, first.y, *ends) != part

    def touched(self, part: Rectangle, level: Dimensions, reduction: int) -> Iterator[Rectangle]:
        """The pieces that a part of a level touches, row by row.

        Args:
            part: of the level, in its pixels.
            level: its size.
            reduction: by how much it is smaller than the image.
        """
        width, height = (
            side * (reduction if self.is_cheap else ceil(_SMALLEST * reduction / side)) for side in self.tile
        )
        columns = list(_spans(part.x, part.width, level.width, self.x, width, reduction))
        for top, bottom in _spans(part.y, part.height, level.height, self.y, height, reduction):
            for left, right in columns:
                yield Rectangle(left, top, right - left, bottom - top)


def _spans(
    start: int, size: int, length: int, origin: int, step: int, reduction: int
) -> Iterator[tuple[int, int]]:
    """First pixel, and the one after the last, of the pieces along one side."""
    first = (start * reduction - origin) // step
    last = ((start + size - 1) * reduction - origin) // step
    for number in range(first, last + 1):
        left = ceil_div(origin + number * step, reduction)
        right = ceil_div(origin + (number + 1) * step, reduction)
        yield max(0, left), min(length, right)

"""The reference grid on which an image of JPEG 2000 and its tiles lie (ISO/IEC 15444-1, annex B).

Everything about it holds for each direction by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm
from typing import NamedTuple

from iiif_server.iiif.ladder import ceil_div


class Cut(NamedTuple):
    """A range of tiles along one direction as a codestream of its own.

    Attributes:
        axis: the new reference grid.
        first: the tile, in the old grid, that is the first of the new one.
        origin: the pixel of the old level that is the first of the new one.
    """

    axis: Axis
    first: int
    origin: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of the reference grid (B.2, B.3).

    Attributes:
        start: of the image.
        end: of the image.
        grid: start of the first tile, at or before the image's.
        step: from tile to tile.
        unit: moved by a multiple of this, a tile keeps its subbands, precincts and code-blocks as they are.
    """

    start: int
    end: int
    grid: int
    step: int
    unit: int = 1

    @property
    def count(self) -> int:
        """The number of tiles."""
        return ceil_div(self.end - self.grid, self.step)

    @property
    def length(self) -> int:
        """Of the image."""
        return self.end - self.start

    @property
    def reach(self) -> int:
        """The longest that what is cut may get for one tile's sake."""
        return min(self.length, lcm(self.unit, self.step) + self.step)

    def touched(self, start: int, stop: int, factor: int) -> range:
        """The tiles in which pixels of a level lie.

        Args:
            start: first pixel, counted from the image's start.
            stop: the one after the last.
            factor: of the level; above 1 only where the image starts at 0.
        """
        first = (self.start + start * factor - self.grid) // self.step
        last = (self.start + (stop - 1) * factor - self.grid) // self.step
        return range(first, last + 1)

    def cut(self, tiles: range, factor: int) -> Cut:
        """Cut out some tiles, to be decoded at this factor.

        At full size the tiles stay where they are. At others, Pillow takes no image that does not start at
        0, so they are moved there, and tiles before them come along, to be left empty.
        """
        first, shift = tiles.start, 0
        if factor > 1:
            period = lcm(self.unit, self.step)
            shift = tiles.start * self.step // period * period
            first = shift // self.step
        grid = self.grid + first * self.step
        start = max(self.start, grid)
        # To a whole pixel of the level: Pillow rounds its size to nearest, which would cut the last one off.
        end = min(self.end, ceil_div(self.grid + tiles.stop * self.step, factor) * factor)
        moved = replace(self, start=start - shift, end=end - shift, grid=grid - shift)
        return Cut(moved, first, (start - self.start) // factor)

    def has_empty_tile(self, factor: int) -> bool:
        """Tell whether some tile has no pixel of a level; decoders give up over that."""
        last = self.grid + (self.count - 1) * self.step
        return self.step < factor or ceil_div(last, factor) == ceil_div(self.end, factor)

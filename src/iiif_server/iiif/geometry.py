"""Sizes and rectangles in whole pixels."""

from __future__ import annotations

from typing import NamedTuple


class Dimensions(NamedTuple):
    """A width and a height in pixels."""

    width: int
    height: int

    def turned(self, degrees: int) -> Dimensions:
        """The size after a rotation by a multiple of 90 degrees."""
        return Dimensions(self.height, self.width) if degrees % 180 else self


class Rectangle(NamedTuple):
    """A rectangle in pixels; the origin is the top left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Dimensions:
        """The rectangle's width and height."""
        return Dimensions(self.width, self.height)

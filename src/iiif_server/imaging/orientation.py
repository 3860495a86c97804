"""The eight ways to lay a rectangle on itself: stored orientations, mirroring and quarter turns as one group.

Pure arithmetic. EXIF orientations, the rotation parameter and what the lossless lane asks of a codec are all
elements of this group, so a stored orientation followed by a mirror and a turn is again one element.
"""

from __future__ import annotations

from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions, Rectangle


class Symmetry(NamedTuple):
    """Swap the axes if ``transpose``, then flip the resulting x axis, y axis or both."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def then(self, other: Symmetry) -> Symmetry:
        """The element that does this one first and the other one after it."""
        flip_x, flip_y = (self.flip_y, self.flip_x) if other.transpose else (self.flip_x, self.flip_y)
        return Symmetry(self.transpose ^ other.transpose, flip_x ^ other.flip_x, flip_y ^ other.flip_y)

    def inverse(self) -> Symmetry:
        """The element that undoes this one."""
        return Symmetry(self.transpose, self.flip_y, self.flip_x) if self.transpose else self

    def size(self, size: Dimensions) -> Dimensions:
        """The size of an image of this size afterwards."""
        return Dimensions(size.height, size.width) if self.transpose else size

    def rectangle(self, rectangle: Rectangle, image: Dimensions) -> Rectangle:
        """Where a rectangle of an image of this size comes to lie."""
        x, y, width, height = rectangle
        if self.transpose:
            x, y, width, height = y, x, height, width
        after = self.size(image)
        if self.flip_x:
            x = after.width - x - width
        if self.flip_y:
            y = after.height - y - height
        return Rectangle(x, y, width, height)

    @property
    def flips_width(self) -> bool:
        """Tell whether the columns of the image come out in reverse order."""
        return self.flip_y if self.transpose else self.flip_x

    @property
    def flips_height(self) -> bool:
        """Tell whether the rows of the image come out in reverse order."""
        return self.flip_x if self.transpose else self.flip_y


IDENTITY = Symmetry()
MIRROR = Symmetry(flip_x=True)
MIRROR_VERTICAL = Symmetry(flip_y=True)
TRANSPOSE = Symmetry(transpose=True)
TRANSVERSE = Symmetry(transpose=True, flip_x=True, flip_y=True)
CLOCKWISE_90 = Symmetry(transpose=True, flip_x=True)
CLOCKWISE_180 = Symmetry(flip_x=True, flip_y=True)
CLOCKWISE_270 = Symmetry(transpose=True, flip_y=True)

_EXIF = (
    IDENTITY,
    MIRROR,
    CLOCKWISE_180,
    MIRROR_VERTICAL,
    TRANSPOSE,
    CLOCKWISE_90,
    TRANSVERSE,
    CLOCKWISE_270,
)
_QUARTER_TURNS = (IDENTITY, CLOCKWISE_90, CLOCKWISE_180, CLOCKWISE_270)


def from_exif(orientation: object) -> Symmetry:
    """What sets an image of this EXIF or TIFF orientation upright; values out of range mean upright."""
    if isinstance(orientation, int) and 1 <= orientation <= 8:
        return _EXIF[orientation - 1]
    return IDENTITY


def from_rotation(degrees: int, *, mirror: bool) -> Symmetry:
    """The rotation parameter: mirrored left to right if asked for, then turned clockwise by quarter turns."""
    return (MIRROR if mirror else IDENTITY).then(_QUARTER_TURNS[degrees // 90 % 4])

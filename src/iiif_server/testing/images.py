"""Images for tests: every pixel of them is known."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from PIL import Image, ImageChops, ImageStat

_SQUARE = 32
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}}


@dataclass(frozen=True)
class KnownImage:
    """An image of the store under test, and what is behind its name.

    Attributes:
        name: as the profile knows it.
        picture: the full, upright image.
        original: the bytes of the stored file; empty where they are not known.
    """

    name: str
    picture: Image.Image
    original: bytes = field(default=b"", repr=False)


def draw_image(
    name: str, width: int = 1201, height: int = 901, *, file_format: str = "TIFF", seed: int = 0
) -> KnownImage:
    """Draw a picture, and encode it as the file to put into the store under test.

    Args:
        name: under which the profile will know it.
        width: of the picture, in pixels.
        height: the same.
        file_format: as Pillow calls it: ``TIFF`` (uncompressed, 3 bytes for each pixel), ``PNG``, ``JPEG``, …
        seed: another seed makes another picture of the same size.
    """
    picture, original = _drawn(width, height, file_format, seed)
    return KnownImage(name, picture.copy(), original)


@lru_cache(8)
def _drawn(width: int, height: int, file_format: str, seed: int) -> tuple[Image.Image, bytes]:
    """Drawn once for the tests of a whole contract."""
    picture = gradient(width, height, seed=seed)
    return picture, encode(picture, file_format)


def gradient(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """A picture whose pixels tell where they are.

    Red rises from 0 at the left to 255 at the right, green from 0 at the top to 255 at the bottom. Blue is a
    board of squares of 32 pixels: ``64 + 16 * (seed % 8)`` in the top left one, 192 in the next.
    """
    across = Image.linear_gradient("L").rotate(90).resize((width, height), Image.Resampling.BILINEAR)
    down = Image.linear_gradient("L").resize((width, height), Image.Resampling.BILINEAR)
    board = Image.new("L", (2, 2), 192)
    for corner in ((0, 0), (1, 1)):
        board.putpixel(corner, 64 + 16 * (seed % 8))
    pair = board.resize((2 * _SQUARE, 2 * _SQUARE), Image.Resampling.NEAREST)
    squares = Image.new("L", (width, height))
    for top in range(0, height, 2 * _SQUARE):
        for left in range(0, width, 2 * _SQUARE):
            squares.paste(pair, (left, top))
    return Image.merge("RGB", (across, down, squares))


def encode(picture: Image.Image, file_format: str) -> bytes:
    """The file of a picture in a format that Pillow writes; JPEG as close to the pixels as it gets."""
    out = io.BytesIO()
    picture.save(out, file_format, **_OPTIONS.get(file_format, {}))
    return out.getvalue()


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """By how many of 256 levels the pixels of two pictures of one size differ, on average.

    Raises:
        ValueError: their sizes differ.
    """
    if one.size != other.size:
        raise ValueError(f"a picture of {one.size} is compared with one of {other.size}")
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return max(ImageStat.Stat(difference).mean)

"""Pictures whose every pixel is known, and what the specifications make of them, without the server's code.

Red rises evenly from left to right and green from top to bottom, so that a scaled or turned picture still
tells where each of its pixels came from. Blue counts in sixteenths: no two pixels nearby are the same.
"""

from math import cos, radians, sin
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

EXAMPLE = (300, 200)
"""The size of the image that the examples of section 4 are about."""

LARGE = (1501, 1103)

ENCODED_NAMES = [
    "id1",
    "bb157hs6068",
    "ark:%2F12025%2F654xz321",
    "urn:foo:a123,456",
    "urn:sici:1046-8188(199501)13:1%253C69:FTTHBI%253E2.0.TX;2-4",
    # The table has http:// here, whose empty path segment is no name of a file.
    "http:%2Fexample.com%2F%3F54%23a",
]
"""The identifiers of section 9's table, as they stand in an address."""

SPECIAL_NAMES = ["slash%2Fquestion%3Fhash%23open%5Bclose%5Dat%40percent%25", "%C3%A9t%C3%A9%20%E2%98%83"]
"""All that section 9 has clients encode, and characters outside of US-ASCII."""


def known(width: int, height: int) -> Pixels:
    """A picture of this size, as (height, width, 3) bytes."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    red = np.rint(255 * x / max(width - 1, 1))
    green = np.rint(255 * y / max(height - 1, 1))
    return np.dstack((red, green, x % 16 * 16 + y % 16)).astype(np.uint8)


def store_collection(directory: Path) -> None:
    """Write every image that the suite asks for, all of them without loss."""
    example = Image.fromarray(known(*EXAMPLE))
    example.save(directory / "example.png")
    for name, size in {"portrait": (200, 300), "square": (120, 120), "large": LARGE, "pixel": (1, 1)}.items():
        Image.fromarray(known(*size)).save(directory / f"{name}.png")
    example.getchannel("R").save(directory / "gray.png")
    example.getchannel("R").point(lambda value: 255 * (value > 127)).convert("1").save(
        directory / "bitonal.png"
    )
    for name in map(unquote, ENCODED_NAMES + SPECIAL_NAMES):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        example.save(path, "PNG")


def cut(picture: Pixels, x: int, y: int, width: int, height: int) -> Pixels:
    """A region of a picture."""
    return picture[y : y + height, x : x + width]


def quarter_turned(picture: Pixels, rotation: str) -> Pixels:
    """Mirror a picture where the rotation begins with ``!``, then turn it clockwise by quarters."""
    mirrored = picture[:, ::-1] if rotation.startswith("!") else picture
    return np.rot90(mirrored, -int(rotation.strip("!")) // 90)


def assert_same(got: Pixels, expected: Pixels) -> None:
    """Fail unless two pictures agree in every pixel."""
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def assert_scaled(
    got: Pixels, region: tuple[int, int, int, int], image: tuple[int, int] = EXAMPLE, tolerance: float = 3.0
) -> None:
    """Fail unless this is that region of a known picture, stretched to the size that it has.

    Args:
        got: (height, width, 3) bytes.
        region: left, top, width and height in pixels of the known picture.
        image: the known picture's size.
        tolerance: in levels of red and green; 255 of them are the picture's width and height.
    """
    height, width = got.shape[:2]
    left, top, region_width, region_height = region
    x = left + (np.arange(width) + 0.5) * region_width / width - 0.5
    y = top + (np.arange(height) + 0.5) * region_height / height - 0.5
    np.testing.assert_allclose(got[..., 0], np.tile(_level(x, image[0]), (height, 1)), atol=tolerance)
    np.testing.assert_allclose(got[..., 1], np.tile(_level(y, image[1]), (width, 1)).T, atol=tolerance)


def assert_turned(
    got: Pixels,
    degrees: float,
    *,
    mirror: bool,
    region: tuple[int, int, int, int] = (0, 0, *EXAMPLE),
    size: tuple[int, int] = EXAMPLE,
) -> None:
    """Fail unless this is a region of the example, scaled, mirrored, then turned clockwise about its centre.

    Args:
        got: (height, width, 3) bytes.
        degrees: the angle.
        mirror: whether left and right were exchanged first.
        region: left, top, width and height in pixels of the example.
        size: what the region was scaled to.
    """
    height, width = got.shape[:2]
    angle, reach = radians(degrees), int(0.3 * min(size))
    rows, columns = (
        np.mgrid[-reach:reach:5, -reach:reach:5] + np.array([height // 2, width // 2])[:, None, None]
    )
    u, v = columns + 0.5 - width / 2, rows + 0.5 - height / 2
    # Back, anticlockwise; the y axis points down.
    right, down = u * cos(angle) + v * sin(angle), v * cos(angle) - u * sin(angle)
    x = region[0] + (size[0] / 2 + (-right if mirror else right)) * region[2] / size[0] - 0.5
    y = region[1] + (size[1] / 2 + down) * region[3] / size[1] - 0.5
    np.testing.assert_allclose(got[rows, columns, 0], _level(x, EXAMPLE[0]), atol=3)
    np.testing.assert_allclose(got[rows, columns, 1], _level(y, EXAMPLE[1]), atol=3)


def bounding_box(width: float, height: float, degrees: float) -> tuple[float, float]:
    """The size after a turn, by the implementation notes of both versions."""
    angle = radians(degrees)
    return (
        abs(width * cos(angle)) + abs(height * sin(angle)),
        abs(height * cos(angle)) + abs(width * sin(angle)),
    )


def _level(position: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    return np.clip(255 * position / max(side - 1, 1), 0, 255)

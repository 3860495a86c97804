"""The group of the eight symmetries."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.imaging.orientation import IDENTITY, MIRROR, Symmetry, from_exif, from_rotation
from iiif_server.imaging.steps import turned
from tests.imaging.helpers import EXIF_ORIENTATION, array, picture

symmetries = st.builds(Symmetry, st.booleans(), st.booleans(), st.booleans())
ALL = [Symmetry(*flags) for flags in itertools.product([False, True], repeat=3)]


@st.composite
def rectangles_in_images(draw: st.DrawFn) -> tuple[Rectangle, Dimensions]:
    width, height = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    rectangle = Rectangle(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))
    return rectangle, Dimensions(width, height)


@given(symmetries, symmetries, symmetries)
def test_is_a_group(one: Symmetry, two: Symmetry, three: Symmetry) -> None:
    """Associative, with an identity, and every element is undone by its inverse."""
    assert one.then(two).then(three) == one.then(two.then(three))
    assert one.then(IDENTITY) == IDENTITY.then(one) == one
    assert one.then(one.inverse()) == one.inverse().then(one) == IDENTITY


@given(symmetries, symmetries, rectangles_in_images())
def test_moves_rectangles(one: Symmetry, two: Symmetry, place: tuple[Rectangle, Dimensions]) -> None:
    """One after the other moves a rectangle as the product does, and the inverse brings it back."""
    rectangle, image = place
    once = one.rectangle(rectangle, image)
    assert two.rectangle(once, one.size(image)) == one.then(two).rectangle(rectangle, image)
    assert one.inverse().rectangle(once, one.size(image)) == rectangle


@pytest.mark.parametrize("one", ALL)
def test_turns_pixels_as_it_says(one: Symmetry) -> None:
    """Turning pixels twice is turning them by the product; rectangles land where their pixels do."""
    image = picture(7, 5)
    for two in ALL:
        assert (array(turned(turned(image, one), two)) == array(turned(image, one.then(two)))).all()
    x, y, width, height = one.rectangle(Rectangle(1, 2, 3, 2), Dimensions(7, 5))
    moved = array(turned(image, one))[y : y + height, x : x + width]
    assert (moved == array(turned(image.crop((1, 2, 4, 4)), one))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sets_exif_orientations_upright(orientation: int) -> None:
    """As Pillow does."""
    image = picture(7, 5)
    image.getexif()[EXIF_ORIENTATION] = orientation
    expected = ImageOps.exif_transpose(image)
    assert (array(turned(image, from_exif(orientation))) == array(expected)).all()


@pytest.mark.parametrize("value", [0, 9, -1, None, "6", 1.5, (6,)])
def test_takes_nonsense_for_upright(value: object) -> None:
    """An orientation that does not exist turns nothing."""
    assert from_exif(value) == IDENTITY


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_mirrors_then_turns_clockwise(degrees: int, *, mirror: bool) -> None:
    """Image API 3.0 section 4.3."""
    pixels = array(picture(6, 4))
    expected = np.rot90(pixels[:, ::-1] if mirror else pixels, -degrees // 90)
    image = Image.fromarray(pixels.astype(np.uint8))
    assert (array(turned(image, from_rotation(degrees, mirror=mirror))) == expected).all()


def test_knows_which_sides_come_out_reversed() -> None:
    """The sides that must be whole blocks in a lossless transform."""
    assert (MIRROR.flips_width, MIRROR.flips_height) == (True, False)
    clockwise = from_rotation(90, mirror=False)
    assert (clockwise.flips_width, clockwise.flips_height) == (False, True)
    counterclockwise = from_rotation(270, mirror=False)
    assert (counterclockwise.flips_width, counterclockwise.flips_height) == (True, False)

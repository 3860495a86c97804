"""The region: which part of the full image is returned, to the pixel."""

import pytest

from tests.conformance.pictures import EXAMPLE, assert_same, cut, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import NO_REGIONS, REGIONS, REGIONS_WITHOUT_PIXELS, Rectangle

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("region", "expected"), REGIONS.items())
def test_regions(example: Service, region: str, expected: Rectangle) -> None:
    """3.0 §4.1: each form gives exactly its pixels, cropped at the image's edge."""
    assert_same(example.pixels(f"{region}/max/0/default.png"), cut(known(*EXAMPLE), *expected))


@pytest.mark.parametrize(
    ("name", "full", "expected"),
    [
        ("portrait.png", (200, 300), (0, 50, 200, 200)),
        ("square.png", (120, 120), (0, 0, 120, 120)),
        ("pixel.png", (1, 1), (0, 0, 1, 1)),
    ],
)
def test_square(image: Images, name: str, full: tuple[int, int], expected: Rectangle) -> None:
    """3.0 §4.1: square is as wide and high as the shorter side, and centred, as is a reasonable default."""
    got = image(name).pixels("square/max/0/default.png")

    assert_same(got, cut(known(*full), *expected))


def test_square_within_the_longer_side(large: Service) -> None:
    """3.0 §4.1: a square of odd sides lies within the image, its position being the server's."""
    got = large.pixels("square/max/0/default.png")
    picture = known(1501, 1103)

    assert got.shape == (1103, 1103, 3)
    assert any((got == cut(picture, x, 0, 1103, 1103)).all() for x in (199, 200))


def test_regions_without_pixels(example: Service) -> None:
    """3.0 §4.1: a region that is empty, or lies entirely outside, should be a 400."""
    expected = dict.fromkeys(REGIONS_WITHOUT_PIXELS, 400)

    assert example.statuses("{}/max/0/default.png", REGIONS_WITHOUT_PIXELS) == expected


def test_what_is_no_region(example: Service) -> None:
    """3.0 §4.1: anything else, negative numbers and pixels with fractions included, is a 400."""
    assert example.statuses("{}/max/0/default.png", NO_REGIONS) == dict.fromkeys(NO_REGIONS, 400)

"""The region: which part of the full image is returned, to the pixel; and the numbers of section 4."""

import pytest

from tests.conformance.pictures import EXAMPLE, assert_same, cut, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import NO_NUMBERS, NO_REGIONS, REGIONS, REGIONS_WITHOUT_PIXELS, Rectangle

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("region", "expected"), REGIONS.items())
def test_regions(example: Service, region: str, expected: Rectangle) -> None:
    """2.1 §4.1: each form gives exactly its pixels, cropped at the image's edge."""
    assert_same(example.pixels(f"{region}/full/0/default.png"), cut(known(*EXAMPLE), *expected))


@pytest.mark.parametrize(
    ("name", "full", "expected"),
    [("portrait.png", (200, 300), (0, 50, 200, 200)), ("square.png", (120, 120), (0, 0, 120, 120))],
)
def test_square(image: Images, name: str, full: tuple[int, int], expected: Rectangle) -> None:
    """2.1 §4.1: square is as wide and high as the shorter side, and centred, as is a reasonable default."""
    assert_same(image(name).pixels("square/full/0/default.png"), cut(known(*full), *expected))


def test_regions_without_pixels(example: Service) -> None:
    """2.1 §4.1: a region that is empty, or lies entirely outside, should be a 400."""
    expected = dict.fromkeys(REGIONS_WITHOUT_PIXELS, 400)

    assert example.statuses("{}/full/0/default.png", REGIONS_WITHOUT_PIXELS) == expected


def test_what_is_no_region(example: Service) -> None:
    """2.1 §4.1: anything else is a 400; dimensions in pixels are always integers."""
    assert example.statuses("{}/full/0/default.png", NO_REGIONS) == dict.fromkeys(NO_REGIONS, 400)


@pytest.mark.parametrize("number", ["0.9", "1", "33.3", "33.3333333333", "0.9000000001", "100"])
def test_numbers(example: Service, number: str) -> None:
    """2.1 §4: some parameters may have floating point numbers, of at most 10 decimal digits."""
    assert example.status(f"pct:0,0,{number},{number}/full/0/default.png") == 200
    assert example.status(f"full/pct:{number}/0/default.png") == 200
    assert example.status(f"full/60,/{number}/default.png") == 200


def test_nothing_but_digits_and_a_point(example: Service) -> None:
    """2.1 §4: floating point numbers consist only of decimal digits and a point."""
    for pattern in (
        "pct:{},0,10,10/full/0/default.png",
        "full/pct:{}/0/default.png",
        "full/full/{}/gray.png",
    ):
        assert example.statuses(pattern, NO_NUMBERS) == dict.fromkeys(NO_NUMBERS, 400)

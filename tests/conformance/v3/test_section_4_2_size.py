"""The size: every form with and without ``^``, where no limit is near."""

import pytest

from tests.conformance.pictures import EXAMPLE, assert_same, assert_scaled, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import EMPTY_SIZES, NO_SIZES, Rectangle

pytestmark = pytest.mark.e2e

Size = tuple[int, int]

FULL: Rectangle = (0, 0, *EXAMPLE)
PART: Rectangle = (125, 15, 120, 140)

# The examples say ",^240" and "pct:120" where the table above them has "^,240" and "^pct:120".
EXAMPLES: dict[str, Size] = {
    "150,": (150, 100),
    "^360,": (360, 240),
    ",150": (225, 150),
    "^,240": (360, 240),
    "pct:50": (150, 100),
    "^pct:120": (360, 240),
    "225,100": (225, 100),
    "^360,360": (360, 360),
    "!225,100": (150, 100),
    "^!360,360": (360, 240),
}

OTHERS: dict[str, Size] = {
    "max": (300, 200),
    # Nothing is larger than the region, and nothing larger is asked for.
    "300,": (300, 200),
    ",200": (300, 200),
    "pct:100": (300, 200),
    "300,200": (300, 200),
    "!300,200": (300, 200),
    "30,200": (30, 200),
    "!1000,1000": (300, 200),
    "!2000,100": (150, 100),
    "!75,2000": (75, 50),
    "pct:2.5": (8, 5),
    # ^ allows upscaling and does not demand it.
    "^150,": (150, 100),
    "^,150": (225, 150),
    "^pct:50": (150, 100),
    "^225,100": (225, 100),
    "^!225,100": (150, 100),
    "^300,200": (300, 200),
    # One side may grow while the other one shrinks.
    "^600,100": (600, 100),
    "^100,400": (100, 400),
    "^!450,10000": (450, 300),
}

OF_A_PART: dict[str, Size] = {
    "max": (120, 140),
    "90,": (90, 105),
    ",70": (60, 70),
    "pct:50": (60, 70),
    "100,140": (100, 140),
    "!100,100": (86, 100),
    "!300,200": (120, 140),
    "^240,": (240, 280),
    "^,280": (240, 280),
    "^pct:150": (180, 210),
    "^300,100": (300, 100),
    "^!300,280": (240, 280),
}

LARGER = ["301,", ",201", "pct:100.1", "pct:120", "301,200", "300,201", "360,360", "100,201", "301,10"]
"""Sizes above the example's own."""


@pytest.mark.parametrize(("size", "expected"), (EXAMPLES | OTHERS).items())
def test_sizes(example: Service, size: str, expected: Size) -> None:
    """3.0 §4.2: each form gives the size that the table and the examples state, of the whole image."""
    got = example.pixels(f"full/{size}/0/default.png")

    assert (got.shape[1], got.shape[0]) == expected
    assert_scaled(got, FULL)


@pytest.mark.parametrize(("size", "expected"), OF_A_PART.items())
def test_sizes_of_a_region(example: Service, size: str, expected: Size) -> None:
    """3.0 §4.2: sizes are those of the extracted region, and not of the full image."""
    got = example.pixels(f"125,15,120,140/{size}/0/default.png")

    assert (got.shape[1], got.shape[0]) == expected
    assert_scaled(got, PART)


def test_max_is_not_scaled(example: Service) -> None:
    """3.0 §4.2: max has the pixels of the extracted region unless a limit makes it smaller."""
    assert_same(example.pixels("full/max/0/default.png"), known(*EXAMPLE))


def test_upscaling_wants_a_caret(example: Service) -> None:
    """3.0 §4.2: without ^, a result larger than the region, in either direction, should be a 400."""
    assert example.statuses("full/{}/0/default.png", LARGER) == dict.fromkeys(LARGER, 400)
    assert example.statuses("full/^{}/0/default.png", LARGER) == dict.fromkeys(LARGER, 200)


def test_upscaling_is_of_the_region(example: Service) -> None:
    """3.0 §4.2: what is upscaling, and a 400 without ^, depends on the region and not on the full image."""
    sizes = ["121,", ",141", "pct:101", "121,10", "10,141"]

    assert example.statuses("125,15,120,140/{}/0/default.png", sizes) == dict.fromkeys(sizes, 400)


def test_the_aspect_ratio_is_kept(image: Images) -> None:
    """3.0 §4.2: the aspect ratio is maintained as closely as possible by all forms but w,h."""
    portrait = image("portrait.png")
    for side in range(1, 200, 23):
        for size in (f"{side},", f",{side}", f"!{side},{side}", f"pct:{side / 2}"):
            width, height = portrait.size(f"full/{size}/0/default.png")

            assert abs(width - height * 200 / 300) < 1 or abs(height - width * 300 / 200) < 1, size


def test_less_than_a_pixel(example: Service) -> None:
    """3.0 §4.2: the scaled region must not be less than 1 pixel; such a request should be a 400."""
    assert example.statuses("full/{}/0/default.png", EMPTY_SIZES) == dict.fromkeys(EMPTY_SIZES, 400)
    assert example.statuses("full/^{}/0/default.png", EMPTY_SIZES) == dict.fromkeys(EMPTY_SIZES, 400)


def test_what_is_no_size(example: Service) -> None:
    """3.0 §4.2: client request syntax errors should be a 400; full is no size of this version."""
    no_sizes = [*NO_SIZES, *(f"^{size}" for size in NO_SIZES), "full", "^full", "^", "^^max", "!^9,9", "max^"]

    assert example.statuses("full/{}/0/default.png", no_sizes) == dict.fromkeys(no_sizes, 400)


def test_without_upscaling(image: Images) -> None:
    """3.0 §4.2: sizes with ^ that require upscaling should be a 501 if it is not supported."""
    service = image(profile="boundless")
    sizes = ["^301,", "^,201", "^pct:120", "^301,10", "^10,201", "^!1000,1000"]

    assert "sizeUpscaling" not in service.info()["extraFeatures"]
    assert service.statuses("full/{}/0/default.png", sizes) == dict.fromkeys(sizes, 501)


def test_syntax_comes_first(image: Images) -> None:
    """3.0 §4.2: a syntax error behind ^ should be a 400 on a server without upscaling, too."""
    sizes = ["^abc", "^0,", "^pct:0", "^1.5,"]

    assert image(profile="boundless").statuses("full/{}/0/default.png", sizes) == dict.fromkeys(sizes, 400)


@pytest.mark.parametrize("size", ["max", "^max", "^150,", "^pct:100", "^!150,150", "!1000,1000"])
def test_no_upscaling_is_needed(image: Images, size: str) -> None:
    """3.0 §4.2: what requires no upscaling is served without it; ^max is max where nothing is larger."""
    expected = EXAMPLE if size.endswith(("max", "100", "1000")) else (150, 100)

    assert image(profile="boundless").size(f"full/{size}/0/default.png") == expected

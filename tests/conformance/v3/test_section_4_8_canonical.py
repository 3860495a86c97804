"""The canonical URI, as the Link header states it."""

import pytest

from tests.conformance import checks
from tests.conformance.service import Images, Service
from tests.conformance.tables import RECOMMENDED_ROTATIONS, REGIONS

pytestmark = pytest.mark.e2e


SIZES = {
    "max": "max",
    "300,": "max",
    ",200": "max",
    "pct:100": "max",
    "!300,300": "max",
    "^300,200": "max",
    "150,": "150,100",
    ",150": "225,150",
    "pct:50": "150,100",
    "225,100": "225,100",
    "!225,100": "150,100",
    "^150,": "150,100",
    "^!150,150": "150,100",
    "^360,": "^360,240",
    "^,240": "^360,240",
    "^pct:120": "^360,240",
    "^360,360": "^360,360",
    "^!360,360": "^360,240",
    "^600,100": "^600,100",
    "^max": "^max",
}

SIZES_UNDER_LIMITS = {
    "max_width_200": {"200,": "max", "!1000,1000": "max", "^max": "max", "150,": "150,100"},
    "max_width_360": {
        "^360,": "^max",
        "^,240": "^max",
        "^pct:120": "^max",
        "^!1000,1000": "^max",
        "max": "max",
        "^330,": "^330,220",
    },
    "boundless": {"^max": "max", "^!300,300": "max"},
}

ROTATIONS = RECOMMENDED_ROTATIONS | {"90": "90", "!90": "!90", "22.5": "22.5"}


def test_region(example: Service) -> None:
    """3.0 §4.8: full if the full image is requested, otherwise x,y,w,h."""
    written = {region: ",".join(map(str, rectangle)) for region, rectangle in REGIONS.items()}
    expected = {
        region: f"{'full' if text == '0,0,300,200' else text}/max/0/default.png"
        for region, text in written.items()
    }

    assert example.canonicals("{}/max/0/default.png", REGIONS) == expected


def test_square_of_a_square(image: Images) -> None:
    """3.0 §4.8: a square region of a square image is the full image."""
    canonical = image("square.png").canonical("square/max/0/default.png")

    assert canonical == "full/max/0/default.png"


def test_size(example: Service) -> None:
    """3.0 §4.8: max or ^max, otherwise w,h, with ^ if the region is upscaled."""
    expected = {size: f"full/{text}/0/default.png" for size, text in SIZES.items()}

    assert example.canonicals("full/{}/0/default.png", SIZES) == expected


@pytest.mark.parametrize(("limited", "sizes"), SIZES_UNDER_LIMITS.items())
def test_size_under_limits(image: Images, limited: str, sizes: dict[str, str]) -> None:
    """3.0 §4.8: max and ^max are the maximum sizes that the limits allow, however they are asked for."""
    expected = {size: f"full/{text}/0/default.png" for size, text in sizes.items()}

    assert image(profile=limited).canonicals("full/{}/0/default.png", sizes) == expected


def test_rotation(example: Service) -> None:
    """3.0 §4.8: ! if mirrored, then an integer if possible, otherwise as section 4.7 recommends."""
    expected = {rotation: f"full/max/{text}/default.png" for rotation, text in ROTATIONS.items()}

    assert example.canonicals("full/max/{}/default.png", ROTATIONS) == expected


def test_quality(example: Service) -> None:
    """3.0 §4.8: default if that is the server's default quality, otherwise the quality."""
    qualities = {"default": "default", "color": "default", "gray": "gray", "bitonal": "bitonal"}
    expected = {quality: f"full/max/0/{text}.png" for quality, text in qualities.items()}

    assert example.canonicals("full/max/0/{}.png", qualities) == expected


def test_format(example: Service) -> None:
    """3.0 §4.8: the format is explicit."""
    formats = ["jpg", "png", "gif"]

    assert example.canonicals("full/max/0/default.{}", formats) == {
        extension: f"full/max/0/default.{extension}" for extension in formats
    }


@pytest.mark.parametrize(
    "parameters",
    [
        "pct:41.6,7.5,66.6,100/pct:50/!360.0/color.png",
        "square/!77,1000/22.50/gray.jpg",
        "0,0,9999,9999/^,240/90.0/bitonal.png",
        "square/^!400,400/!0/default.gif",
        "1,1,7,199/,50/0/default.png",
    ],
)
def test_the_canonical_uri_is_the_same_image(example: Service, parameters: str) -> None:
    """3.0 §4.8: the canonical URI gives the same image, and is its own canonical URI."""
    checks.has_a_canonical_form(example, parameters)


def test_the_canonical_uri_is_whole(example: Service) -> None:
    """3.0 §4.8: the link has scheme, server, prefix and identifier."""
    links = example.links("square/^!400,400/!0/color.jpg")

    assert links["canonical"] == f"{example.uri}/50,0,200,200/^400,400/!0/default.jpg"

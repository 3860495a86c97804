"""The canonical URI, as the Link header states it."""

import pytest

from tests.conformance import checks
from tests.conformance.service import Images, Service
from tests.conformance.tables import RECOMMENDED_ROTATIONS, REGIONS

pytestmark = pytest.mark.e2e

SIZES = {
    "full": "full",
    # The same as full where there are no limits to speak of.
    "max": "full",
    "300,": "full",
    "pct:100": "full",
    "!300,300": "full",
    # The aspect ratio is maintained, whatever the form.
    "150,": "150,",
    ",150": "225,",
    "pct:50": "150,",
    "150,100": "150,",
    "!225,100": "150,",
    "360,": "360,",
    "360,240": "360,",
    "pct:120": "360,",
    # It is not.
    "225,100": "225,100",
    "360,360": "360,360",
    "300,100": "300,100",
}

ROTATIONS = RECOMMENDED_ROTATIONS | {"90": "90", "!90": "!90", "22.5": "22.5"}


def test_region(example: Service) -> None:
    """2.1 §4.7: full if the whole image is requested, otherwise x,y,w,h."""
    written = {region: ",".join(map(str, rectangle)) for region, rectangle in REGIONS.items()}
    expected = {
        region: f"{'full' if text == '0,0,300,200' else text}/full/0/default.png"
        for region, text in written.items()
    }

    assert example.canonicals("{}/full/0/default.png", REGIONS) == expected


def test_square_of_a_square(image: Images) -> None:
    """2.1 §4.7: full includes a square region of a square image."""
    assert image("square.png").canonical("square/full/0/default.png") == "full/full/0/default.png"


def test_size(example: Service) -> None:
    """2.1 §4.7: full, w, if the aspect ratio is maintained, w,h if it is changed."""
    expected = {size: f"full/{text}/0/default.png" for size, text in SIZES.items()}

    assert example.canonicals("full/{}/0/default.png", SIZES) == expected


@pytest.mark.parametrize(
    ("limited", "expected"),
    [
        ("max_width_200", "200,"),
        ("max_height_100", "150,"),
        ("max_area_24000", "189,"),
        ("boundless", "full"),
    ],
)
def test_max_under_limits(image: Images, limited: str, expected: str) -> None:
    """2.1 §4.2: w, is the canonical form of max, unless max is equivalent to full."""
    canonical = image(profile=limited).canonical("full/max/0/default.png")

    assert canonical == f"full/{expected}/0/default.png"


def test_rotation(example: Service) -> None:
    """2.1 §4.7: ! if mirrored, an integer if possible, no trailing zeros, a leading zero below 1."""
    expected = {rotation: f"full/full/{text}/default.png" for rotation, text in ROTATIONS.items()}

    assert example.canonicals("full/full/{}/default.png", ROTATIONS) == expected


def test_quality_and_format(example: Service) -> None:
    """2.1 §4.7: default if that is the server's default quality; the format is explicit."""
    qualities = {"default.jpg": "default.jpg", "color.png": "default.png", "gray.gif": "gray.gif"}
    expected = {last: f"full/full/0/{text}" for last, text in qualities.items()}

    assert example.canonicals("full/full/0/{}", qualities) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        "pct:41.6,7.5,66.6,100/pct:50/!360.0/color.png",
        "square/!77,1000/22.50/gray.jpg",
        "0,0,9999,9999/,240/90.0/bitonal.png",
        "square/400,400/!0/default.gif",
        "1,1,7,199/,50/0/default.png",
    ],
)
def test_the_canonical_uri_is_the_same_image(example: Service, parameters: str) -> None:
    """2.1 §4.7: the canonical URI gives the same image, and is its own canonical URI."""
    checks.has_a_canonical_form(example, parameters)


def test_the_canonical_uri_is_whole(example: Service) -> None:
    """2.1 §4.7: the link has scheme, server, prefix and identifier."""
    links = example.links("square/!100,100/!0/color.jpg")

    assert links["canonical"] == f"{example.uri}/50,0,200,200/100,/!0/default.jpg"

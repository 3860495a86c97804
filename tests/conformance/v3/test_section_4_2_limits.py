"""The size on servers with limits (sections 4.2 and 5.2): what max and the confined sizes come to."""

import pytest

from tests.conformance.pictures import assert_scaled
from tests.conformance.service import Images

pytestmark = pytest.mark.e2e

Size = tuple[int, int]


def test_example_of_max(image: Images) -> None:
    """3.0 §4.2: max on a server with a maxWidth of 200, as in the example."""
    got = image(profile="max_width_200").pixels("full/max/0/default.png")

    assert got.shape[:2] == (133, 200)
    assert_scaled(got, (0, 0, 300, 200))


def test_example_of_max_upscaled(image: Images) -> None:
    """3.0 §4.2: ^max on a server with a maxWidth of 360, as in the example."""
    got = image(profile="max_width_360").pixels("full/^max/0/default.png")

    assert got.shape[:2] == (240, 360)
    assert_scaled(got, (0, 0, 300, 200))


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("example", "full/^max", (200, 133)),
        ("example", "0,0,150,150/max", (150, 150)),
        ("example", "0,0,150,150/^max", (200, 200)),
        ("example", "full/!1000,1000", (200, 133)),
        ("example", "full/^!1000,1000", (200, 133)),
        ("example", "full/!1000,100", (150, 100)),
        ("example", "0,0,100,50/^!1000,1000", (200, 100)),
        ("portrait", "full/max", (133, 200)),
        ("portrait", "full/^max", (133, 200)),
        ("square", "full/max", (120, 120)),
        ("square", "full/^max", (200, 200)),
    ],
)
def test_max_width(image: Images, name: str, parameters: str, expected: Size) -> None:
    """3.0 §4.2: max, ^max and confined sizes are as large as maxWidth allows, which is maxHeight, too."""
    assert image(f"{name}.png", "max_width_200").size(f"{parameters}/0/default.png") == expected


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("example", "full/max", (150, 100)),
        ("example", "full/^max", (150, 100)),
        ("example", "0,0,300,50/max", (240, 40)),
        ("example", "0,0,60,30/^max", (200, 100)),
        ("example", "0,0,60,20/^max", (240, 80)),
        ("example", "full/!240,240", (150, 100)),
        ("portrait", "full/max", (67, 100)),
    ],
)
def test_max_height(image: Images, name: str, parameters: str, expected: Size) -> None:
    """3.0 §4.2: the same within a maxWidth and a maxHeight."""
    assert image(f"{name}.png", "max_height_100").size(f"{parameters}/0/default.png") == expected


@pytest.mark.parametrize(
    ("name", "parameters", "ratio"),
    [
        ("example", "full/max", 1.5),
        ("example", "full/^max", 1.5),
        ("example", "full/!300,300", 1.5),
        ("portrait", "full/max", 1 / 1.5),
        ("square", "full/^max", 1),
        ("example", "0,0,300,50/^max", 6),
        ("example", "0,0,300,50/^!10000,10000", 6),
    ],
)
def test_max_area(image: Images, name: str, parameters: str, ratio: float) -> None:
    """3.0 §4.2: the same within a maxArea: one more row or column, in proportion, would be above it."""
    width, height = image(f"{name}.png", "max_area_24000").size(f"{parameters}/0/default.png")

    assert width * height <= 24_000
    assert abs(width / ratio - height) < 1
    assert (width + 1) * (width + 1) / ratio > 24_000 or (height + 1) * (height + 1) * ratio > 24_000


def test_a_region_below_the_limit_is_not_scaled_by_max(image: Images) -> None:
    """3.0 §4.2: max is the region's own size where that is within the limits."""
    assert image(profile="max_area_24000").size("10,10,200,120/max/0/default.png") == (200, 120)


@pytest.mark.parametrize(
    ("limited", "sizes"),
    [
        (
            "max_width_200",
            ["201,", ",134", "300,200", "pct:67", "^201,", "^,134", "^201,1", "^1,201", "^pct:120"],
        ),
        ("max_width_360", ["^361,", "^,241", "^361,1", "^1,361", "^pct:120.5"]),
        ("max_height_100", ["200,", ",101", "241,1", "1,101", "^241,1", "^1,101", "pct:51"]),
        ("max_area_24000", ["300,", ",130", "240,101", "pct:64", "^600,41", "^190,"]),
    ],
)
def test_above_the_limits(image: Images, limited: str, sizes: list[str]) -> None:
    """3.0 §4.2: sizes that would be above a limit the server imposes should be a 400."""
    statuses = image(profile=limited).statuses("full/{}/0/default.png", sizes)

    assert statuses == dict.fromkeys(sizes, 400)


@pytest.mark.parametrize(
    ("limited", "sizes"),
    [
        ("max_width_200", ["200,", ",133", "200,200", "pct:66", "^200,200"]),
        ("max_width_360", ["300,", "^360,", "^,240", "^360,360", "^pct:120"]),
        ("max_height_100", ["150,", ",100", "240,100", "^240,100", "pct:50"]),
        ("max_area_24000", ["150,", ",126", "240,100", "pct:63", "^600,40"]),
    ],
)
def test_up_to_the_limits(image: Images, limited: str, sizes: list[str]) -> None:
    """3.0 §4.2: every size up to the limits is served."""
    statuses = image(profile=limited).statuses("full/{}/0/default.png", sizes)

    assert statuses == dict.fromkeys(sizes, 200)

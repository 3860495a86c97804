"""The size: every form, above the full size too, and on servers with limits."""

import pytest

from tests.conformance.pictures import EXAMPLE, assert_same, assert_scaled, cut, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import EMPTY_SIZES, NO_SIZES

pytestmark = pytest.mark.e2e

Size = tuple[int, int]

SIZES: dict[str, Size] = {
    "max": (300, 200),
    # The examples.
    "150,": (150, 100),
    ",150": (225, 150),
    "pct:50": (150, 100),
    "225,100": (225, 100),
    "!225,100": (150, 100),
    # Other ways to the same, and the full size.
    "300,": (300, 200),
    ",200": (300, 200),
    "pct:100": (300, 200),
    "300,200": (300, 200),
    "!300,300": (300, 200),
    "!75,2000": (75, 50),
    "30,200": (30, 200),
    # Above the full size.
    "360,": (360, 240),
    ",240": (360, 240),
    "pct:120": (360, 240),
    "360,240": (360, 240),
    "360,360": (360, 360),
    "600,100": (600, 100),
    "100,400": (100, 400),
}

OF_A_PART: dict[str, Size] = {
    "full": (120, 140),
    "max": (120, 140),
    "90,": (90, 105),
    ",70": (60, 70),
    "pct:50": (60, 70),
    "100,140": (100, 140),
    "!100,100": (86, 100),
    "240,": (240, 280),
    "pct:150": (180, 210),
}

ABOVE_FULL = ["301,", ",201", "pct:120", "301,200", "300,201", "100,201", "301,10"]


def test_full(example: Service) -> None:
    """2.1 §4.2: full is not scaled: the image or region at its full size."""
    assert_same(example.pixels("full/full/0/default.png"), known(*EXAMPLE))
    region = example.pixels("125,15,120,140/full/0/default.png")
    assert_same(region, cut(known(*EXAMPLE), 125, 15, 120, 140))


@pytest.mark.parametrize(("size", "expected"), SIZES.items())
def test_sizes(example: Service, size: str, expected: Size) -> None:
    """2.1 §4.2: each form gives the size that the table and the examples state, of the whole image."""
    got = example.pixels(f"full/{size}/0/default.png")

    assert (got.shape[1], got.shape[0]) == expected
    assert_scaled(got, (0, 0, *EXAMPLE))


@pytest.mark.parametrize(("size", "expected"), OF_A_PART.items())
def test_sizes_of_a_region(example: Service, size: str, expected: Size) -> None:
    """2.1 §4.2: sizes are those of the extracted region, and not of the full image."""
    got = example.pixels(f"125,15,120,140/{size}/0/default.png")

    assert (got.shape[1], got.shape[0]) == expected
    assert_scaled(got, (125, 15, 120, 140))


@pytest.mark.parametrize("size", ["360,360", "1000,240", "310,9999"])
def test_best_fit_in_a_larger_box(example: Service, size: str) -> None:
    """2.1 §4.2: !w,h is within w and h and keeps the aspect ratio; the server chooses how large it is."""
    width, height = example.size(f"full/!{size}/0/default.png")
    max_width, max_height = map(int, size.split(","))

    assert EXAMPLE[0] <= width <= max_width
    assert EXAMPLE[1] <= height <= max_height
    assert abs(height - width * 200 / 300) < 1


def test_the_aspect_ratio_is_kept(image: Images) -> None:
    """2.1 §4.2: the aspect ratio of the extracted region is maintained by all forms but w,h."""
    portrait = image("portrait.png")
    for side in range(1, 200, 23):
        for size in (f"{side},", f",{side}", f"!{side},{side}", f"pct:{side / 2}"):
            width, height = portrait.size(f"full/{size}/0/default.png")

            assert abs(width - height * 200 / 300) < 1 or abs(height - width * 300 / 200) < 1, size


def test_less_than_a_pixel(example: Service) -> None:
    """2.1 §4.2: if the resulting height or width is zero, it should be a 400."""
    assert example.statuses("full/{}/0/default.png", EMPTY_SIZES) == dict.fromkeys(EMPTY_SIZES, 400)


def test_what_is_no_size(example: Service) -> None:
    """2.1 §4.2: anything else is a 400; this version has no ^."""
    no_sizes = [
        *NO_SIZES,
        "Full",
        "FULL",
        "full,",
        "^max",
        "^full",
        "^150,",
        "^,150",
        "^pct:50",
        "^!9,9",
        "^9,9",
    ]

    assert example.statuses("full/{}/0/default.png", no_sizes) == dict.fromkeys(no_sizes, 400)


def test_not_above_full(image: Images) -> None:
    """2.1 §4.2: scaling above the full size is optional; a valid request that is not implemented is a 501."""
    service = image(profile="boundless")

    assert "sizeAboveFull" not in service.info()["profile"][1]["supports"]
    assert service.statuses("full/{}/0/default.png", ABOVE_FULL) == dict.fromkeys(ABOVE_FULL, 501)
    assert service.size("full/!1000,1000/0/default.png") == EXAMPLE


@pytest.mark.parametrize(
    ("limited", "name", "region", "expected"),
    [
        # The example.
        ("max_width_200", "example", "full", (200, 133)),
        ("max_width_200", "portrait", "full", (133, 200)),
        ("max_width_200", "example", "0,0,150,150", (150, 150)),
        ("max_width_360", "example", "full", (300, 200)),
        ("max_height_100", "example", "full", (150, 100)),
        ("max_height_100", "example", "0,0,300,50", (240, 40)),
        ("max_area_24000", "example", "full", (189, 126)),
        ("max_area_24000", "example", "10,10,200,120", (200, 120)),
    ],
)
def test_max(image: Images, limited: str, name: str, region: str, expected: Size) -> None:
    """2.1 §4.2: max is the maximum size available, as maxWidth, maxHeight and maxArea indicate it."""
    assert image(f"{name}.png", limited).size(f"{region}/max/0/default.png") == expected


@pytest.mark.parametrize("limited", ["max_width_200", "max_height_100", "max_area_24000"])
def test_full_under_limits(image: Images, limited: str) -> None:
    """2.1 §4.2: full is never scaled, so that it is refused where a limit does not allow it."""
    service = image(profile=limited)

    assert service.status("full/full/0/default.png") == 400
    assert service.size("10,10,150,90/full/0/default.png") == (150, 90)


@pytest.mark.parametrize(
    ("limited", "sizes"),
    [
        ("max_width_200", ["201,", ",134", "300,200", "pct:67", "1,201"]),
        ("max_width_360", ["361,", ",241", "361,1", "1,361", "pct:120.5"]),
        ("max_height_100", ["200,", ",101", "241,1", "1,101", "pct:51"]),
        ("max_area_24000", ["300,", ",130", "240,101", "pct:64", "600,41"]),
    ],
)
def test_above_the_limits(image: Images, limited: str, sizes: list[str]) -> None:
    """2.1 §5.3: clients should expect larger dimensions, or larger areas, to be rejected."""
    statuses = image(profile=limited).statuses("full/{}/0/default.png", sizes)

    # Section 7.2 lists 404 for them as "common"; this server says 400, as section 4.2 of 3.0 does.
    assert statuses == dict.fromkeys(sizes, 400)

"""Absolute pixels and the canonical form: Image API 3.0 sections 4.1 to 4.3 and 4.8."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from iiif_server.errors import InvalidRequest, UnsupportedFeature
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import Limits, advertised_sizes, tile_grid
from iiif_server.iiif.parameters import (
    AtMostWide,
    ConfinedSize,
    ExactSize,
    Format,
    FullRegion,
    HeightSize,
    ImageParameters,
    MaxSize,
    PixelRegion,
    Quality,
    Rotation,
    WidthSize,
    parse_image_parameters,
    parse_region,
    parse_size,
)
from iiif_server.iiif.resolve import canonical, resolve, resolve_region, resolve_size
from tests.iiif import strategies

# The image of the specification's examples is 300 by 200 pixels.
SPEC_IMAGE = Dimensions(300, 200)
LIMITS = Limits(max_area=100_000_000)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("full", (0, 0, 300, 200)),
        ("square", (50, 0, 200, 200)),
        ("125,15,120,140", (125, 15, 120, 140)),
        ("pct:41.6,7.5,40,70", (125, 15, 120, 140)),
        ("125,15,200,200", (125, 15, 175, 185)),
        ("pct:41.6,7.5,66.6,100", (125, 15, 175, 185)),
        ("0,0,999999999,999999999", (0, 0, 300, 200)),
        ("299,199,1,1", (299, 199, 1, 1)),
        ("pct:99.99,99.99,0.001,0.001", (299, 199, 1, 1)),
        ("pct:0,0,100,100", (0, 0, 300, 200)),
    ],
)
def test_regions_of_the_specifications_examples(text, region):
    assert resolve_region(parse_region(text), SPEC_IMAGE) == region


@pytest.mark.parametrize(
    "text",
    [
        "300,0,10,10",
        "0,200,10,10",
        "0,0,0,10",
        "0,0,10,0",
        "pct:100,0,10,10",
        "pct:0,0,0,10",
        "pct:0,101,5,5",
    ],
)
def test_regions_that_are_empty_or_outside(text):
    with pytest.raises(InvalidRequest):
        resolve_region(parse_region(text), SPEC_IMAGE)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("max", (300, 200)),
        ("150,", (150, 100)),
        (",150", (225, 150)),
        ("pct:50", (150, 100)),
        ("225,100", (225, 100)),
        ("!225,100", (150, 100)),
        ("!2000,3000", (300, 200)),
        ("!300,200", (300, 200)),
        ("^360,", (360, 240)),
        ("^,240", (360, 240)),
        ("^pct:120", (360, 240)),
        ("^360,360", (360, 360)),
        ("^!360,360", (360, 240)),
        ("^150,", (150, 100)),
        ("1,", (1, 1)),
        (",1", (2, 1)),
        ("!1,1", (1, 1)),
    ],
)
def test_sizes_of_the_specifications_examples(text, size):
    region = Rectangle(0, 0, *SPEC_IMAGE)

    assert resolve_size(parse_size(text), region, SPEC_IMAGE, LIMITS) == size


def test_max_under_the_limits_of_the_specifications_examples():
    region = Rectangle(0, 0, *SPEC_IMAGE)

    assert resolve_size(MaxSize(), region, SPEC_IMAGE, Limits(max_width=200)) == (200, 133)
    assert resolve_size(MaxSize(upscale=True), region, SPEC_IMAGE, Limits(max_width=360)) == (360, 240)
    assert resolve_size(MaxSize(), region, SPEC_IMAGE, Limits(max_width=360)) == (300, 200)
    assert resolve_size(MaxSize(), region, SPEC_IMAGE, Limits(max_width=300, max_height=100)) == (150, 100)


@pytest.mark.parametrize("text", ["301,", ",201", "301,200", "300,201", "pct:100.001", "pct:200"])
def test_larger_than_the_region_without_caret(text):
    with pytest.raises(InvalidRequest):
        resolve_size(parse_size(text), Rectangle(0, 0, *SPEC_IMAGE), SPEC_IMAGE, LIMITS)


@pytest.mark.parametrize(
    "text", ["0,", ",0", "0,5", "5,0", "!0,5", "!5,0", "^0,", "pct:0", "pct:0.01", "^!0,0"]
)
def test_empty_sizes(text):
    with pytest.raises(InvalidRequest, match="empty"):
        resolve_size(parse_size(text), Rectangle(0, 0, *SPEC_IMAGE), SPEC_IMAGE, LIMITS)


@pytest.mark.parametrize("text", ["^301,", "^,999", "^pct:101", "^!400,400", "^301,10"])
def test_upscaling_is_501_where_no_limit_lets_it_be_offered(text):
    with pytest.raises(UnsupportedFeature):
        resolve_size(parse_size(text), Rectangle(0, 0, *SPEC_IMAGE), SPEC_IMAGE, Limits())


def test_upscaling_above_the_limits_is_400():
    with pytest.raises(InvalidRequest, match="limits"):
        resolve_size(parse_size("^40000,40000"), Rectangle(0, 0, *SPEC_IMAGE), SPEC_IMAGE, LIMITS)


def test_a_scroll_still_has_a_thumbnail():
    scroll = Dimensions(40_000, 60)

    assert resolve_size(ConfinedSize(200, 200), Rectangle(0, 0, *scroll), scroll, LIMITS) == (200, 1)


@given(strategies.parameters, strategies.images, strategies.limits)
def test_what_resolves_is_inside_the_image_and_the_limits(parameters, image, limits):
    try:
        operation = resolve(parameters, image, limits)
    except (InvalidRequest, UnsupportedFeature):
        return
    x, y, width, height = operation.region
    assert min(x, y) >= 0
    assert min(width, height) >= 1
    assert x + width <= image.width
    assert y + height <= image.height
    assert min(operation.size) >= 1
    assert limits.allow(operation.size)
    assert not operation.upscales or (parameters.size.upscale and limits.any)
    assert 0 <= operation.rotation.degrees < 360


@given(strategies.parameters, strategies.images, strategies.limits)
def test_the_canonical_form_means_the_same_and_is_its_own(parameters, image, limits):
    try:
        operation = resolve(parameters, image, limits)
    except (InvalidRequest, UnsupportedFeature):
        assume(False)
    text = canonical(operation, limits)

    again = resolve(parse_image_parameters(*text.split("/")), image, limits)

    assert again == operation
    assert canonical(again, limits) == text


@given(strategies.images, strategies.limits, st.integers(1, 400))
def test_every_advertised_size_is_served_exactly(image, limits, min_side):
    for size in advertised_sizes(image, limits, min_side):
        assert (
            resolve_size(WidthSize(size.width), Rectangle(0, 0, *image), image, Limits()).width == size.width
        )
        parameters = ImageParameters(
            FullRegion(), ExactSize(*size), Rotation(Decimal(0)), Quality.DEFAULT, Format.JPG
        )
        assert resolve(parameters, image, limits).size == size


@given(strategies.images, strategies.limits, st.data())
def test_every_advertised_tile_is_served_exactly(image, limits, data):
    """By the formulas of the specification's implementation notes, which viewers use."""
    grid = tile_grid(image, limits)
    if grid is None:
        return
    assert limits.allow(Dimensions(grid.width, grid.height))
    factor = data.draw(st.sampled_from(grid.scale_factors))
    column = data.draw(st.integers(0, (image.width - 1) // (grid.width * factor)))
    row = data.draw(st.integers(0, (image.height - 1) // (grid.height * factor)))
    x, y = column * grid.width * factor, row * grid.height * factor
    width, height = min(grid.width * factor, image.width - x), min(grid.height * factor, image.height - y)
    wanted = Dimensions(-(-width // factor), -(-height // factor))
    region = PixelRegion(x, y, width, height)

    parameters = ImageParameters(
        region, ExactSize(*wanted), Rotation(Decimal(0)), Quality.DEFAULT, Format.JPG
    )
    operation = resolve(parameters, image, limits)

    assert operation.region == (x, y, width, height)
    assert operation.size == wanted
    # An edge tile can belong to several levels; for a width alone the nearest to the shape counts.
    by_width = resolve_size(WidthSize(wanted.width), Rectangle(x, y, width, height), image, Limits())
    assert by_width.width == wanted.width
    assert abs(by_width.height - height * wanted.width / width) <= max(1, height / width)


@given(strategies.images, st.integers(0, 16))
def test_a_level_of_the_whole_image_by_width_alone_has_the_levels_height(image, exponent):
    width, height = -(-image.width // 2**exponent), -(-image.height // 2**exponent)
    others = {-(-image.height // 2**k) for k in range(18) if -(-image.width // 2**k) == width}

    size = resolve_size(WidthSize(width), Rectangle(0, 0, *image), image, Limits())

    assert height in others
    assert size.height in others


@given(strategies.images, st.integers(1, 80_000), st.integers(1, 80_000))
def test_confined_is_as_large_as_possible(image, width, height):
    size = resolve_size(ConfinedSize(width, height), Rectangle(0, 0, *image), image, Limits())

    assert size.width <= min(width, image.width)
    assert size.height <= min(height, image.height)
    assert size.width == min(width, image.width) or size.height == min(height, image.height)
    scale = Fraction(size.width, image.width)
    assert abs(size.height - image.height * scale) <= max(1, Fraction(image.height, image.width))


@given(strategies.images, strategies.limits, strategies.lengths)
def test_at_most_so_wide_is_what_width_or_max_give(image, limits, width):
    """Thumbnails are never wider, never upscaled, always allowed, and what `w,` or `max` give as well."""
    region = Rectangle(0, 0, *image)
    largest = resolve_size(MaxSize(), region, image, limits)

    size = resolve_size(AtMostWide(width), region, image, limits)

    assert size.width == min(width, largest.width)
    assert limits.allow(size)
    by_width = resolve_size(WidthSize(size.width), region, image, Limits())
    assert size == largest if largest.width <= width else size == by_width or not limits.allow(by_width)


def test_color_and_a_full_turn_are_what_default_and_nothing_are():
    plain = resolve(parse_image_parameters("full", "max", "0", "default.jpg"), SPEC_IMAGE, LIMITS)
    same = resolve(parse_image_parameters("0,0,300,200", "300,", "360", "color.jpg"), SPEC_IMAGE, LIMITS)

    assert same == plain
    assert canonical(same, LIMITS) == "full/max/0/default.jpg"


@pytest.mark.parametrize(
    ("asked", "canonical_form"),
    [
        ("pct:0,0,50,50/max/!90.0/gray.png", "0,0,150,100/max/!90/gray.png"),
        ("full/150,/0/default.jpg", "full/150,100/0/default.jpg"),
        ("full/^600,/0/default.jpg", "full/^600,400/0/default.jpg"),
        ("full/^150,/0/default.jpg", "full/150,100/0/default.jpg"),
        ("square/!50,50/270/bitonal.png", "50,0,200,200/50,50/270/bitonal.png"),
        ("full/^max/0/default.jpg", "full/^max/0/default.jpg"),
        ("full/max/!022.50/default.png", "full/max/!22.5/default.png"),
        ("full/max/.5/default.png", "full/max/0.5/default.png"),
    ],
)
def test_canonical_forms(asked, canonical_form):
    assert (
        canonical(resolve(parse_image_parameters(*asked.split("/")), SPEC_IMAGE, LIMITS), LIMITS)
        == canonical_form
    )


@given(
    strategies.images, st.sampled_from([64, 240, 256, 512, 1000]), st.integers(0, 8), st.data(), st.booleans()
)
def test_a_tile_of_any_grid_by_one_side_alone_has_the_tiles_other_side(image, tile, exponent, data, by_width):
    """Viewers of version 2 ask for ``w,``; which tile size they use is their business.

    What is the last tile of several levels at once may be any of them.
    """
    factor = 2**exponent
    step = tile * factor
    x = data.draw(st.integers(0, (image.width - 1) // step)) * step
    y = data.draw(st.integers(0, (image.height - 1) // step)) * step
    region = Rectangle(x, y, min(step, image.width - x), min(step, image.height - y))
    side, other = (0, 1) if by_width else (1, 0)
    wanted = [-(-length // factor) for length in region.size]
    levels = [[-(-length // 2**k) for length in region.size] for k in range(18)]
    possible = {level[other] for level in levels if level[side] == wanted[side]}

    size = WidthSize(wanted[0]) if by_width else HeightSize(wanted[1])
    found = resolve_size(size, region, image, Limits())

    assert found[side] == wanted[side]
    assert found[other] in possible

"""The rounding ladder that info.json and the resolver share."""

from hypothesis import given
from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits, advertised_sizes, level_size, scale_factors, tile_grid
from tests.iiif import strategies


def test_an_odd_image():
    image = Dimensions(4001, 3003)

    assert advertised_sizes(image, Limits(), 200) == ((501, 376), (1001, 751), (2001, 1502), (4001, 3003))
    assert scale_factors(image, Dimensions(512, 512)) == (1, 2, 4, 8)
    assert level_size(image, 8) == (501, 376)


def test_a_small_image_still_has_its_full_size():
    assert advertised_sizes(Dimensions(100, 80), Limits(), 200) == ((100, 80),)
    assert tile_grid(Dimensions(100, 80), Limits()) == (512, 512, (1,))


def test_nothing_above_the_limits_is_advertised():
    image = Dimensions(4000, 3000)

    assert advertised_sizes(image, Limits(max_width=1000), 200) == ((500, 375), (1000, 750))
    assert tile_grid(image, Limits(max_width=400)) is None
    assert tile_grid(image, Limits(max_area=512 * 512 - 1)) is None


def test_the_tiles_size_is_stated_within_the_limits():
    """An image of one row of tiles has the same grid with tiles as high as itself."""
    row = Dimensions(4000, 300)

    assert tile_grid(row, Limits(max_width=600, max_height=300)) == (512, 300, (1, 2, 4, 8))
    assert tile_grid(row, Limits(max_width=600, max_height=299)) is None
    assert tile_grid(row, Limits(max_width=512)) == (512, 512, (1, 2, 4, 8))
    assert tile_grid(Dimensions(300, 200), Limits(max_area=60_000)) == (300, 200, (1,))


@given(strategies.images, strategies.limits, st.integers(1, 1000))
def test_sizes_ascend_are_unique_and_allowed(image, limits, min_side):
    sizes = advertised_sizes(image, limits, min_side)

    assert list(sizes) == sorted(set(sizes))
    assert all(limits.allow(size) for size in sizes)
    assert all(min(size) >= min_side or size == image for size in sizes)


@given(strategies.images)
def test_scale_factors_reach_one_tile_and_no_further(image):
    factors = scale_factors(image, Dimensions(512, 512))

    assert all(max(level_size(image, factor)) > 512 for factor in factors[:-1])
    assert max(level_size(image, factors[-1])) <= 512

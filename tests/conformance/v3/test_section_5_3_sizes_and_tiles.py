"""Sizes (section 5.3) and tiles (section 5.4): within the limits, and served as stated."""

from collections import Counter

import pytest

from tests.conformance.pictures import LARGE, assert_same, assert_scaled, cut, known
from tests.conformance.service import Images, Service
from tests.conformance.tiling import tiles_of, within

pytestmark = pytest.mark.e2e

NAMES = ["example.png", "portrait.png", "square.png", "large.png", "pixel.png"]


def test_sizes(image: Images, site: str) -> None:
    """3.0 §5.3: each of the sizes has an integer width and height, and must be served in the form w,h."""
    for service in (image(name, site) for name in NAMES):
        for size in service.info()["sizes"]:
            assert set(size) == {"width", "height"}
            assert {type(size["width"]), type(size["height"])} == {int}
            expected = (size["width"], size["height"])
            assert service.size(f"full/{size['width']},{size['height']}/0/default.jpg") == expected


def test_sizes_are_of_the_full_image(image: Images, site: str) -> None:
    """3.0 §5.3: the sizes are scaled versions of the full image, each one once."""
    for document in (image(name, site).info() for name in NAMES):
        sizes = [(size["width"], size["height"]) for size in document["sizes"]]

        assert len(sizes) == len(set(sizes))
        for width, height in sizes:
            scale = document["width"] / width
            assert scale >= 1
            assert abs(height - document["height"] / scale) <= 1


def test_there_are_sizes_to_test(large: Service) -> None:
    """3.0 §5.3: an image of some size has preferred sizes, its own among them."""
    sizes = [(size["width"], size["height"]) for size in large.info()["sizes"]]

    assert LARGE in sizes
    assert len(sizes) >= 4


def test_within_the_limits(image: Images, site: str) -> None:
    """3.0 §5.2: sizes specified by sizes and tiles must be within the size limits expressed."""
    for document in (image(name, site).info() for name in NAMES):
        stated = [*document["sizes"], *document.get("tiles", [])]
        sizes = [(entry["width"], entry.get("height", entry["width"])) for entry in stated]

        assert [size for size in sizes if not within(document, *size)] == []


def test_tiles(image: Images, site: str) -> None:
    """3.0 §5.4: tiles have positive integers, each scale factor once, each width and height once."""
    for entries in (image(name, site).info().get("tiles", []) for name in NAMES):
        factors = Counter(factor for entry in entries for factor in entry["scaleFactors"])
        assert set(factors.values()) <= {1}
        shapes = [(entry["width"], entry.get("height", entry["width"])) for entry in entries]
        assert len(shapes) == len(set(shapes))
        numbers = [*factors, *(side for shape in shapes for side in shape)]
        assert all(isinstance(number, int) and number > 0 for number in numbers)


def test_every_tile_is_served(image: Images, site: str) -> None:
    """3.0 compliance §3.2: the sizes implicit in width, height and scaleFactors must be supported."""
    for service in (image(name, site) for name in NAMES):
        for tile in tiles_of(service.info()):
            # HEAD answers what GET would; the large image's tiles are looked at below.
            method = "HEAD" if service.name == "large.png" else "GET"
            assert service.ask(f"{tile.address}/0/default.jpg", method).status == 200


def test_the_tiles_are_the_picture(large: Service) -> None:
    """3.0 §5.4: every tile at every scale factor is its region of the image, at the size asked for."""
    tiles = list(tiles_of(large.info()))
    assert {tile.factor for tile in tiles} == {1, 2, 4}
    assert len(tiles) > 12
    for tile in tiles:
        got = large.pixels(f"{tile.address}/0/default.png")

        assert (got.shape[1], got.shape[0]) == tile.size
        if tile.factor == 1:
            assert_same(got, cut(known(*LARGE), *tile.region))
        else:
            assert_scaled(got, tile.covered, LARGE)


def test_the_tiles_by_width_alone(large: Service) -> None:
    """3.0 §5.4: a tile that is asked for by its width alone has the tile's height."""
    for tile in tiles_of(large.info()):
        region = ",".join(map(str, tile.region))
        canonical = large.canonical(f"{region}/{tile.size[0]},/0/default.jpg")

        assert canonical == large.canonical(f"{tile.address}/0/default.jpg")

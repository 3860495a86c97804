"""Sizes and tiles: within the limits, and served as stated."""

from collections import Counter
from itertools import product

import pytest

from tests.conformance.pictures import LARGE, assert_same, assert_scaled, cut, known
from tests.conformance.service import Images, Service
from tests.conformance.tiling import tiles_of, within

pytestmark = pytest.mark.e2e

NAMES = ["example.png", "portrait.png", "square.png", "large.png", "pixel.png"]


def test_sizes(image: Images, site: str) -> None:
    """2.1 §5.2: each of the sizes must be served in the form w,h, and should be in the canonical form w,."""
    for service in (image(name, site) for name in NAMES):
        sizes = [(size["width"], size["height"]) for size in service.info()["sizes"]]
        assert len(sizes) == len(set(sizes))
        for width, height in sizes:
            assert service.size(f"full/{width},{height}/0/default.jpg") == (width, height)
            assert service.size(f"full/{width},/0/default.jpg") == (width, height)


def test_there_are_sizes_to_test(large: Service) -> None:
    """2.1 §5.2: an image of some size has sizes, its own among them, each an object of two integers."""
    sizes = large.info()["sizes"]

    assert {"width": LARGE[0], "height": LARGE[1]} in sizes
    assert len(sizes) >= 4
    assert all(
        {key: type(value) for key, value in size.items()} == {"width": int, "height": int} for size in sizes
    )


def test_within_the_limits(image: Images, site: str) -> None:
    """2.1 §5.3: sizes specified by sizes and tiles must be within the size limits expressed."""
    for document in (image(name, site).info() for name in NAMES):
        stated = [*document["sizes"], *document.get("tiles", [])]
        sizes = [(entry["width"], entry.get("height", entry["width"])) for entry in stated]

        assert [size for size in sizes if not within(document["profile"][1], *size)] == []


def test_tiles(image: Images, site: str) -> None:
    """2.1 §5.2: tiles have positive integers, each scale factor once, each width and height once."""
    for entries in (image(name, site).info().get("tiles", []) for name in NAMES):
        factors = Counter(factor for entry in entries for factor in entry["scaleFactors"])
        assert set(factors.values()) <= {1}
        shapes = [(entry["width"], entry.get("height", entry["width"])) for entry in entries]
        assert len(shapes) == len(set(shapes))
        numbers = [*factors, *(side for shape in shapes for side in shape)]
        assert all(isinstance(number, int) and number > 0 for number in numbers)


def test_every_tile_is_served(image: Images, site: str) -> None:
    """2.1 compliance §3.2: the sizes implicit in width, height and scaleFactors must be supported."""
    for service in (image(name, site) for name in NAMES):
        for tile in tiles_of(service.info()):
            assert service.ask(f"{tile.address}/0/default.jpg", "HEAD").status == 200


def test_the_tiles_are_the_picture(large: Service) -> None:
    """2.1 §11.A: tiles by the notes' formula, asked for as w,, are their region at the size asked for."""
    tiles = list(tiles_of(large.info()))
    assert {tile.factor for tile in tiles} == {1, 2, 4}
    for tile in tiles:
        region = ",".join(map(str, tile.region))
        got = large.pixels(f"{region}/{tile.size[0]},/0/default.png")

        assert (got.shape[1], got.shape[0]) == tile.size
        if tile.factor == 1:
            assert_same(got, cut(known(*LARGE), *tile.region))
        else:
            assert_scaled(got, tile.covered, LARGE)


def test_all_combinations(large: Service) -> None:
    """2.1 §5.2: sizes and tiles should be served in all combinations of qualities and formats."""
    document = large.info()
    smallest = min(document["sizes"], key=lambda size: size["width"])
    *_, tile = tiles_of(document)
    combinations = product(document["profile"][1]["qualities"], document["profile"][1]["formats"])
    for quality, extension in combinations:
        assert large.status(f"full/{smallest['width']},/0/{quality}.{extension}") == 200
        assert large.ask(f"{tile.address}/0/{quality}.{extension}", "HEAD").status == 200

"""The table behind a pyramid: every tile is found, nothing else is, and damage is told."""

import os
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import TILE, Limits, is_tile, level_size, scale_factors, tile_grid
from iiif_server.iiif.parameters import Format, Quality, Rotation
from iiif_server.iiif.resolve import Operation, resolve
from iiif_server.imaging.pyramids.index import (
    DamagedPyramid,
    Span,
    TileIndex,
    factor_of,
    read_index,
    read_tile,
    tile_request,
    tiles_of,
    write_index,
)
from tests.iiif import strategies

sides = st.one_of(st.integers(1, 1300), st.integers(1, 6000), st.sampled_from([512, 513, 1024, 1025, 4096]))
images = st.builds(Dimensions, sides, sides)


def numbered(image: Dimensions) -> tuple[TileIndex, dict[int, list[Span]]]:
    """An index in which each tile has a place of its own, and those places."""
    number = 0
    levels: dict[int, list[Span]] = {}
    for factor in scale_factors(image, TILE):
        levels[factor] = []
        for _ in tiles_of(image, factor):
            levels[factor].append(Span(number, 1))
            number += 1
    return index_of(b"\0" * number, image, levels), levels


def index_of(before: bytes, image: Dimensions, levels: dict[int, list[Span]]) -> TileIndex:
    """Write an index behind some bytes, and read it."""
    descriptor = os.memfd_create("pyramid")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as out:
            out.write(before)
            write_index(out, image, levels)
        return read_index(descriptor)
    finally:
        os.close(descriptor)


@given(images)
def test_every_tile_that_info_json_states_is_found_at_its_place(image):
    index, levels = numbered(image)
    grid = tile_grid(image, Limits())

    assert grid is not None
    assert set(index.levels) == set(grid.scale_factors)
    first: dict[Operation, Span] = {}  # in an image of few pixels a tile may be one of two levels
    for factor, spans in levels.items():
        size = level_size(image, factor)
        assert len(spans) == -(-size.width // 512) * -(-size.height // 512)
        for region, span in zip(tiles_of(image, factor), spans, strict=True):
            assert is_tile(region, image, factor)
            request = tile_request(image, region, factor)
            assert index.find(request) == first.setdefault(request, span)


@given(images, strategies.parameters)
def test_no_other_request_gets_a_tile(image, parameters):
    """Whatever is found is, pixel for pixel, a tile of the ladder, upright, in colour and as JPEG."""
    try:
        operation = resolve(parameters, image, Limits())
    except Exception:  # noqa: BLE001 - requests that don't fit the image are another test's
        return
    factor = factor_of(operation)

    if factor is not None:
        assert operation == tile_request(image, operation.region, factor)
        assert operation.region in tiles_of(image, factor)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": Format.PNG},
        {"quality": Quality.GRAY},
        {"rotation": Rotation(Decimal(90), mirror=False)},
        {"rotation": Rotation(Decimal(0), mirror=True)},
        {"size": Dimensions(511, 512)},
        {"region": Rectangle(0, 0, 511, 512)},
        {"image": Dimensions(2001, 1500)},
    ],
)
def test_what_differs_from_a_tile_in_one_thing_is_none(changed):
    image = Dimensions(2000, 1500)
    index, _ = numbered(image)
    tile = tile_request(image, Rectangle(0, 0, 512, 512), 1)
    fields = {name: getattr(tile, name) for name in Operation.__slots__}

    assert index.find(tile) is not None
    assert index.find(Operation(**fields | changed)) is None


def test_damage_is_told(tmp_path):
    image = Dimensions(600, 500)
    levels = {1: [Span(0, 4), Span(4, 4)], 2: [Span(8, 4)]}
    path = tmp_path / "pyramid"
    with path.open("wb") as out:
        out.write(b"\xff\xd8\xff\xd9" + b"\xff\xd8xx" + b"\xff\xd8\xff\0")
        write_index(out, image, levels)
    whole = path.read_bytes()

    def reading(data):
        path.write_bytes(data)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            index = read_index(descriptor)
            for span in index.spans():
                read_tile(descriptor, span)
        finally:
            os.close(descriptor)

    with pytest.raises(DamagedPyramid, match="tile"):
        reading(whole)
    for length in range(len(whole)):
        with pytest.raises(DamagedPyramid):
            reading(whole[:length])
    for at in range(12, len(whole)):
        with pytest.raises(DamagedPyramid):
            reading(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


@pytest.mark.parametrize(
    "levels",
    [
        {1: [Span(0, 1)] * 2},
        {1: [Span(0, 1)], 2: [Span(0, 1)]},
        {1: [Span(0, 1)] * 2, 2: [Span(0, 1)], 4: [Span(0, 1)]},
        {1: [Span(0, 1)] * 2, 2: [Span(0, 99)]},
    ],
)
def test_a_table_that_is_not_its_image_s_is_refused(levels):
    with pytest.raises(DamagedPyramid):
        index_of(b"\0", Dimensions(600, 500), levels)

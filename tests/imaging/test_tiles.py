"""A request that equals a stored tile finds that tile, and never another one's pixels."""

from decimal import Decimal
from io import BytesIO
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import Limits, ceil_div, level_size
from iiif_server.iiif.parameters import Format, Quality, Rotation, parse_image_parameters
from iiif_server.iiif.resolve import Operation, resolve
from iiif_server.imaging.lossless import load_library, lossless_available, stored_tile
from iiif_server.imaging.plan import PassTile, is_copy, plan
from iiif_server.imaging.readers.registry import open_source
from iiif_server.imaging.splice import whole_jpeg
from iiif_server.imaging.tasks import RenderSettings, SourceFile, SourceLimits
from iiif_server.imaging.tiles import TileIndex, TileLevel, find_tile
from tests.imaging.helpers import PIXELS_ONLY, Bench, array, luma, mean_error, picture
from tests.support.pyramids import KINDS, Kind, write_pyramid
from tests.support.tiles import viewer_tiles

WIDTH, HEIGHT, TILE = 450, 333, 128
YCBCR, RGB = KINDS[0], KINDS[2]
needs_jpegtran = pytest.mark.skipif(not lossless_available(), reason="jpegtran-cffi is not installed")


def level(image: Dimensions, factor: int, tile: Dimensions, *, down: bool = False) -> TileLevel:
    size = Dimensions(image.width // factor, image.height // factor) if down else level_size(image, factor)
    number = ceil_div(size.width, tile.width) * ceil_div(size.height, tile.height)
    return TileLevel(factor, size, tile, Dimensions(16, 16), 3, False, b"tables", range(number), [9] * number)


def wanted(image: Dimensions, region: Rectangle, size: Dimensions) -> Operation:
    return Operation(image, region, size, Rotation(Decimal(0)), Quality.DEFAULT, Format.JPG)


sides = st.integers(1, 900)
sixteens = st.integers(1, 12).map(lambda number: 16 * number)


@given(sides, sides, sixteens, sixteens, st.booleans(), st.integers(0, 5), sixteens, st.data())
def test_any_tile_of_any_pyramid(width, height, tile_width, tile_height, down, power, asked, data) -> None:
    """What is found covers what was asked for, by arithmetic of its own; what is a stored tile is found."""
    image, tile, factor = Dimensions(width, height), Dimensions(tile_width, tile_height), 2**power
    factors = takewhile(lambda each: min(width, height) >= each, (2**power for power in count()))
    levels = [level(image, each, tile, down=down) for each in factors]
    x = data.draw(st.integers(0, (ceil_div(width, factor) - 1) // asked)) * asked * factor
    y = data.draw(st.integers(0, (ceil_div(height, factor) - 1) // asked)) * asked * factor
    region = Rectangle(x, y, min(asked * factor, width - x), min(asked * factor, height - y))
    operation = wanted(image, region, level_size(region.size, factor))
    found = find_tile(levels, operation)
    if found is None:
        whole = (asked, asked) == tile and operation.size == tile
        there = whole and any(
            each.factor == factor
            and x // factor + asked <= each.size.width
            and y // factor + asked <= each.size.height
            for each in levels
        )
        assert not there
        return
    columns = ceil_div(found.level.size.width, tile.width)
    left = found.number % columns * tile.width + found.crop.x
    top = found.number // columns * tile.height + found.crop.y
    scale = found.level.factor
    assert (left * scale, top * scale) == (x, y)
    assert found.crop.size == operation.size
    assert left + found.crop.width <= found.level.size.width
    assert top + found.crop.height <= found.level.size.height
    assert found.crop.x + found.crop.width <= tile.width
    assert found.crop.y + found.crop.height <= tile.height
    # Its last pixel is made of the region's last one.
    assert (left + found.crop.width - 1) * scale < x + region.width <= (left + found.crop.width) * scale


@given(
    st.integers(0, 899),
    st.integers(0, 699),
    st.integers(1, 900),
    st.integers(1, 700),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_what_is_not_on_the_grid_is_not_found(x, y, width, height, wide, high) -> None:
    """A found tile has the request's scale in both directions."""
    image = Dimensions(900, 700)
    region = Rectangle(x, y, min(width, 900 - x), min(height, 700 - y))
    found = find_tile(
        [level(image, 2**power, Dimensions(128, 128)) for power in range(4)],
        wanted(image, region, Dimensions(wide, high)),
    )
    if found is not None:
        factor = found.level.factor
        assert (x % factor, y % factor) == (0, 0)
        assert (wide, high) == (ceil_div(region.width, factor), ceil_div(region.height, factor))


def test_an_index_comes_back_as_it_was_packed() -> None:
    """Over the border of processes."""
    image = Dimensions(900, 700)
    levels = tuple(level(image, factor, Dimensions(128, 64)) for factor in (1, 2))
    meta, body = TileIndex(image, levels).pack()
    back = TileIndex.unpack(meta, body)
    assert back.image == image
    assert [
        (
            each.factor,
            each.size,
            each.tile,
            each.mcu,
            each.components,
            each.is_rgb,
            each.tables,
            list(each.offsets),
            list(each.counts),
        )
        for each in back.levels
    ] == [
        (
            each.factor,
            each.size,
            each.tile,
            each.mcu,
            each.components,
            each.is_rgb,
            each.tables,
            list(each.offsets),
            list(each.counts),
        )
        for each in levels
    ]
    assert back.weight >= len(body)
    with pytest.raises(ValueError, match="early"):
        TileIndex.unpack(meta, body[:-1])


def index_of(bench: Bench, path: Path) -> TileIndex:
    return TileIndex.unpack(*bench.workbench.tiles(SourceFile(str(path), "1")))


def copied(index: TileIndex, path: Path, operation: Operation) -> bytes | None:
    """What the server's process does."""
    tile = index.find(operation)
    if tile is None or not is_copy(tile, operation):
        return None
    start, length = tile.level.offsets[tile.number], tile.level.counts[tile.number]
    return whole_jpeg(tile.level, path.read_bytes()[start : start + length])


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def pyramid(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_pyramid(tmp_path / "pyramid.tif", picture(WIDTH, HEIGHT), request.param, TILE)


def requests_of(tile: int = TILE) -> list[str]:
    info = {
        "width": WIDTH,
        "height": HEIGHT,
        "tiles": [{"width": tile, "scaleFactors": [1, 2, 4]}],
    }
    return [each.parameters for factor in (1, 2, 4) for each in viewer_tiles(info, factor)]


def operation_of(request: str) -> Operation:
    return resolve(parse_image_parameters(*request.split("/")), Dimensions(WIDTH, HEIGHT), Limits())


def test_a_copy_has_the_pixels_that_are_decoded(pyramid: Path, bench: Bench) -> None:
    """Of every tile of every level and kind; what the server's process copies is what a worker passes on."""
    index, copies = index_of(bench, pyramid), 0
    for parameters in requests_of():
        request = f"{parameters}/0/default"
        data = copied(index, pyramid, operation_of(f"{request}.jpg"))
        lane, made = bench.render(pyramid, f"{request}.jpg", PIXELS_ONLY)
        if data is None:
            assert lane == "pixels"
            continue
        copies += 1
        assert (lane, made) == ("copy", data)
        assert (array(data) == bench.pixels(pyramid, f"{request}.png")).all()
    assert copies == 3 * 2 + 1  # what is whole at full size and at half of it; at a quarter no tile is


@needs_jpegtran
def test_an_edge_is_cut_out_of_its_padded_tile(pyramid: Path, bench: Bench) -> None:
    """With the stored luma; where a level lacks the last row or column it is rendered instead."""
    lanes = []
    for parameters in requests_of():
        lane, data = bench.render(pyramid, f"{parameters}/0/gray.jpg")
        lanes.append(lane)
        assert mean_error(luma(data), bench.pixels(pyramid, f"{parameters}/0/gray.png")) < 2
        lane, data = bench.render(pyramid, f"{parameters}/0/default.jpg")
        lanes.append(lane)
        if lane == "lossless":
            assert mean_error(array(data), bench.pixels(pyramid, f"{parameters}/0/default.png")) < 1
    assert lanes.count("lossless") >= 6


@needs_jpegtran
@pytest.mark.parametrize("turn", ["90", "180", "270", "!0", "!90", "!180", "!270"])
@pytest.mark.parametrize("kind", [YCBCR, RGB], ids=lambda kind: kind.name)
def test_a_whole_tile_is_turned_without_decoding(tmp_path: Path, bench: Bench, kind: Kind, turn: str) -> None:
    """To the pixels that the pixels lane has, up to rounding."""
    path = write_pyramid(tmp_path / "a.tif", picture(WIDTH, HEIGHT), kind, TILE)
    request = f"128,128,128,128/max/{turn}"
    lane, data = bench.render(path, f"{request}/default.jpg")
    assert lane == "lossless"
    assert mean_error(array(data), bench.pixels(path, f"{request}/default.png")) < 0.6
    # 66 columns of an edge tile are no whole units: the rest of one could not come to lie in front.
    assert bench.render(path, f"384,0,66,128/max/{turn}/default.jpg")[0] == (
        "pixels" if turn in {"180", "!0", "!90", "270"} else "lossless"
    )


@needs_jpegtran
def test_a_part_of_a_tile_is_cut_out(tmp_path: Path, bench: Bench) -> None:
    """So a tile size that divides the stored one is served without decoding; other parts are not."""
    path = write_pyramid(tmp_path / "a.tif", picture(WIDTH, HEIGHT), YCBCR, TILE)
    assert bench.render(path, "64,192,64,64/max/0/default.jpg")[0] == "lossless"
    assert bench.render(path, "72,192,64,64/max/0/default.jpg")[0] == "pixels"
    assert bench.render(path, "96,192,64,64/max/0/default.jpg")[0] == "pixels"
    assert bench.render(path, "64,192,64,64/max/0/default.jpg", PIXELS_ONLY)[0] == "pixels"


@pytest.mark.parametrize(
    "request_",
    [
        "0,0,128,128/max/0/default.png",
        "0,0,128,128/max/0/bitonal.jpg",
        "0,0,128,128/max/45/default.jpg",
        "0,0,128,128/60,60/0/default.jpg",
        "1,0,128,128/max/0/default.jpg",
        "0,0,256,256/max/0/default.jpg",
    ],
)
def test_everything_else_is_rendered(tmp_path: Path, bench: Bench, request_: str) -> None:
    """Whoever copied here would be wrong."""
    path = write_pyramid(tmp_path / "a.tif", picture(WIDTH, HEIGHT), YCBCR, TILE)
    assert copied(index_of(bench, path), path, operation_of(request_)) is None
    task = bench.render_any(path, request_)
    assert task[0] == "pixels"


def test_what_has_to_be_converted_is_not_passed_on(tmp_path: Path, bench: Bench) -> None:
    """Another profile than sRGB, another orientation, alpha, other compressions."""
    image = pyvips.Image.new_from_array(np.asarray(picture(WIDTH, HEIGHT)))
    variants = {name: image.copy() for name in ("srgb", "wide", "turned", "deflate")}
    for name, profile in (("srgb", "srgb"), ("wide", "p3")):
        blob = pyvips.Image.profile_load(profile)
        variants[name].set_type(pyvips.GValue.blob_type, "icc-profile-data", blob)
    variants["turned"].set_type(pyvips.GValue.gint_type, "orientation", 6)
    for name, variant in variants.items():
        compression = "deflate" if name == "deflate" else "jpeg"
        variant.tiffsave(str(tmp_path / name), compression=compression, tile=True)
    found = {name: bool(index_of(bench, tmp_path / name).levels) for name in variants}
    assert found == {"srgb": True, "wide": False, "turned": False, "deflate": False}


def test_credit_goes_into_a_copy(tmp_path: Path, bench: Bench) -> None:
    """With ``metadata: keep``, which a worker sees to."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.asarray(picture(256, 256)),
        photometric="rgb",
        compression="jpeg",
        tile=(128, 128),
        extratags=[(33432, "s", 0, "Museum of Tiles", True)],
    )
    lane, data = bench.render(path, "0,0,128,128/max/0/default.jpg", RenderSettings(keep_metadata=True))
    assert lane == "copy"
    assert b"Museum of Tiles" in data
    assert b"Museum of Tiles" not in bench.render(path, "0,0,128,128/max/0/default.jpg")[1]


@needs_jpegtran
def test_a_tile_that_is_damaged_inside_fails_no_lane_before_the_decoder(tmp_path: Path, bench: Bench) -> None:
    """What can't be rearranged is left to the decoder, which tells more."""
    path = write_pyramid(tmp_path / "a.tif", picture(WIDTH, HEIGHT), YCBCR, TILE)
    first = index_of(bench, path).levels[0]
    data = bytearray(path.read_bytes())
    middle = first.offsets[0] + first.counts[0] // 2
    data[middle : middle + 4] = b"\xff\xc0\x00\x02"
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(data)
    opened = open_source(SourceFile(str(damaged), "1"), SourceLimits())[1]
    turned = plan(opened.header, operation_of("0,0,128,128/max/90/default.jpg"), RenderSettings())
    assert isinstance(turned, PassTile)
    assert stored_tile(opened, turned, load_library(), SourceLimits()) is None
    opened.close()


def test_a_tile_that_is_not_there_is_rendered(tmp_path: Path, bench: Bench) -> None:
    """Sparse files have none where nothing was drawn."""
    path = write_pyramid(tmp_path / "a.tif", picture(WIDTH, HEIGHT), YCBCR, TILE)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages.first
        counts = list(page.databytecounts)
        page.tags["TileByteCounts"].overwrite([0, *counts[1:]])
    assert index_of(bench, path).levels[0].counts[0] == 0
    lane, data = bench.render(path, "0,0,128,128/max/0/default.jpg")
    assert lane == "pixels"
    assert np.asarray(Image.open(BytesIO(data))).max() < 8


@pytest.mark.parametrize(
    "damage",
    [
        {"levels": None},
        {"levels": [[1]]},
        {"levels": [[1, [128, 64], [0, 64], [8, 8], 3, False, "", 0]]},
        {"levels": [[1, [128, 64], [128, 64], [8, 8], 3, False, "", 2]]},
        {"levels": [[1, [128, 64], [128, 64], [8, 8], 3, False, "", -1]]},
        {"levels": [[1, ["a", 64], [128, 64], [8, 8], 3, False, "", 1]]},
        {"levels": [[1, [128, 64], [128, 64], [8, 8], 3, False, 5, 1]]},
        {"levels": [], "image": [9]},
        {"levels": [], "image": [float("inf"), 9]},
    ],
)
def test_what_no_worker_packs_is_refused(damage: dict[str, Any]) -> None:
    """Whoever broke a worker can't break the server with what it answers."""
    with pytest.raises(ValueError):
        TileIndex.unpack({"image": [128, 64], **damage}, bytes(24))

"""TIFF: every layout, sample type and page structure gives the pixels that were put in."""

from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from iiif_server.errors import ImageNotFound, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.imaging.readers.registry import open_source
from iiif_server.imaging.readers.tiff.reader import LibtiffSource, TiffSource
from iiif_server.imaging.readers.tiff.samples import _rounded_lab
from iiif_server.imaging.tasks import SourceFile, SourceLimits, SourceProperties, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import Bench, array, mean_error, picture
from tests.matrix.arithmetic import srgb_of_lab
from tests.support import pyramids

WIDTH, HEIGHT = 301, 203
RGB = np.asarray(picture(WIDTH, HEIGHT, noise=3))
GRAY = np.asarray(picture(WIDTH, HEIGHT, bands=1, noise=3))


def write(path: Path, data: Any, **options: Any) -> Path:
    """Write one page."""
    tifffile.imwrite(path, data, **options)
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Opens sources as a worker does, and closes them."""
    sources = []

    def open_it(path: Path, **limits: Any) -> Any:
        sources.append(open_source(SourceFile(str(path), "1"), SourceLimits(**limits))[1])
        return sources[-1]

    yield open_it
    for source in sources:
        source.close()


LAYOUTS: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 1},
    {"rowsperstrip": 7},
    {"tile": (32, 48)},
    {"tile": (256, 256)},
    {"tile": (16, 16), "planarconfig": "separate"},
    {"rowsperstrip": 11, "planarconfig": "separate"},
]
COMPRESSIONS = [
    (None, False),
    ("packbits", False),
    *product(("lzw", "zlib", "zstd", "lzma"), (False, True)),
]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout(tmp_path: Path, bench: Bench, layout: Any, byteorder: Any, *, bigtiff: bool) -> None:
    """Strips and tiles, chunky and planar, of both byte orders, small and big."""
    data = np.moveaxis(RGB, -1, 0) if layout.get("planarconfig") else RGB
    path = write(tmp_path / "a.tif", data, photometric="rgb", byteorder=byteorder, bigtiff=bigtiff, **layout)
    assert (bench.pixels(path) == RGB).all()
    part = bench.pixels(path, "37,53,200,101/max/0/default.png")
    assert (part == RGB[53:154, 37:237]).all()


@pytest.mark.parametrize(("compression", "predictor"), COMPRESSIONS)
@pytest.mark.parametrize("tile", [None, (64, 32)])
def test_every_lossless_compression(
    tmp_path: Path, bench: Bench, compression: Any, tile: Any, *, predictor: bool
) -> None:
    """With and without prediction."""
    path = write(
        tmp_path / "a.tif", RGB, photometric="rgb", compression=compression, tile=tile, predictor=predictor
    )
    assert (bench.pixels(path) == RGB).all()


@pytest.mark.parametrize("compression", ["jpeg", "webp", "jpeg2000"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_image_compressions(tmp_path: Path, bench: Bench, compression: str, tile: Any) -> None:
    """Tiles that are image files of their own."""
    args = {"level": 95} if compression == "jpeg" else {"level": -1} if compression == "webp" else {}
    path = write(
        tmp_path / "a.tif", RGB, photometric="rgb", compression=compression, tile=tile, compressionargs=args
    )
    assert mean_error(bench.pixels(path), RGB.astype(np.int64)) < 3


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(tmp_path: Path, bench: Bench, compression: str) -> None:
    """One bit for each pixel, white is zero."""
    image = Image.fromarray(GRAY).convert("1")
    image.save(tmp_path / "a.tif", compression=compression)
    assert (bench.pixels(tmp_path / "a.tif") == array(image.convert("L"))).all()


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_ycbcr_tiles_share_their_tables(tmp_path: Path, bench: Bench, subsampling: Any) -> None:
    """JPEG tables stand once, in a tag."""
    path = tmp_path / "a.tif"
    data = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    write(path, data, photometric="ycbcr", compression="jpeg", tile=(64, 64), subsampling=subsampling)
    assert mean_error(bench.pixels(path), RGB.astype(np.int64)) < 6
    Image.fromarray(RGB).save(path, compression="jpeg", quality=95)
    assert mean_error(bench.pixels(path), RGB.astype(np.int64)) < 4


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_gray_of_odd_depths(tmp_path: Path, bench: Bench, bits: int) -> None:
    """Of up to 8 bits all values count; of more the highest 8."""
    values = (np.arange(WIDTH * HEIGHT) % 2**bits).reshape(HEIGHT, WIDTH)
    dtype = np.uint8 if bits <= 8 else np.uint16
    path = tmp_path / "a.tif"
    write(path, values.astype(dtype), photometric="minisblack", bitspersample=bits)
    expected = values * 255 // (2**bits - 1) if bits < 8 else values >> (bits - 8)
    assert (bench.pixels(path) == expected).all()


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_white_may_be_zero(tmp_path: Path, bench: Bench, tile: Any) -> None:
    """And comes out white."""
    path = write(tmp_path / "a.tif", GRAY, photometric="miniswhite", tile=tile)
    assert (bench.pixels(path) == 255 - GRAY.astype(np.int64)).all()


@pytest.mark.parametrize(("dtype", "shift"), [(np.uint8, 0), (np.uint16, 8)])
@pytest.mark.parametrize("associated", [False, True])
def test_alpha(tmp_path: Path, bench: Bench, dtype: Any, shift: int, *, associated: bool) -> None:
    """Straight or multiplied in already."""
    rgba = np.asarray(picture(64, 48, bands=4, noise=0)).astype(np.float64)
    rgba[..., 3] = np.clip(rgba[..., 3], 60, 255)
    stored = rgba.copy()
    if associated:
        stored[..., :3] *= stored[..., 3:] / 255
    kind = "assocalpha" if associated else "unassalpha"
    path = tmp_path / "a.tif"
    write(path, np.rint(stored).astype(dtype) << shift, photometric="rgb", extrasamples=[kind], tile=(16, 16))
    assert np.abs(bench.pixels(path) - rgba).max() <= (5 if associated else 0.5)


def test_further_samples_are_left_out(tmp_path: Path, bench: Bench) -> None:
    """What is neither colour nor alpha can't be shown."""
    data = np.concatenate((RGB, RGB[..., :2]), axis=2)
    path = write(tmp_path / "a.tif", data, photometric="rgb", extrasamples=["unspecified", "unspecified"])
    assert (bench.pixels(path) == RGB).all()


def test_palette(tmp_path: Path, bench: Bench) -> None:
    """Colours by number."""
    colours = (np.random.default_rng(3).integers(0, 256, (3, 256)) * 257).astype(np.uint16)
    path = write(tmp_path / "a.tif", GRAY, photometric="palette", colormap=colours)
    assert bench.probe(path).has_color
    assert (bench.pixels(path) == (colours >> 8).T[GRAY]).all()
    gray = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    assert not bench.probe(write(tmp_path / "b.tif", GRAY, photometric="palette", colormap=gray)).has_color


def test_cmyk_has_no_profile(tmp_path: Path, bench: Bench) -> None:
    """As Pillow converts it."""
    image = Image.fromarray(RGB).convert("CMYK")
    path = write(tmp_path / "a.tif", np.asarray(image), photometric="separated", tile=(64, 64))
    assert (bench.pixels(path) == array(image.convert("RGB"))).all()


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.uint32]
)
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_values_without_a_known_range_are_stretched(
    tmp_path: Path, bench: Bench, dtype: Any, tile: Any
) -> None:
    """Over all of the page, whichever part is asked for."""
    values = (GRAY.astype(np.float64) * 0.4 - (0 if np.dtype(dtype).kind == "u" else 50)).astype(dtype)
    path = write(tmp_path / "a.tif", values, photometric="minisblack", tile=tile)
    low, high = float(values.min()), float(values.max())
    expected = np.rint((values.astype(np.float64) - low) / (high - low) * 255)
    assert (bench.pixels(path) == expected).all()
    part = bench.pixels(path, "150,100,60,50/max/0/default.png")
    assert (part == expected[100:150, 150:210]).all()


def test_lab_of_sixteen_bits(shared_images: Path, bench: Bench) -> None:
    """As a second converter has it, computed in floating point from the values of the file."""
    path = shared_images / "tiff-cielab.tiff"
    stored = tifffile.imread(path)
    lab = np.stack(
        (stored[..., 0] / 65535 * 100, *(stored[..., i].astype(np.int16) / 256 for i in (1, 2))), axis=-1
    )
    assert mean_error(bench.pixels(path), srgb_of_lab(lab).astype(np.int64)) < 0.65


@pytest.mark.parametrize(
    ("signed", "stored", "expected"),
    [
        (True, (0, 0, 0), (0, 0, 0)),
        (True, (0x7FFF, 0x0080, -0x0081), (128, 1, 255)),
        (True, (0x8100, 0x007F, -0x0080), (129, 0, 0)),
        (True, (0xFFFF, 0x7FFF, -0x8000), (255, 127, 128)),
        (False, (0xFFFF, 0x8000, 0x807F), (255, 128, 128)),
        (False, (0x0080, 0x0000, 0xFFFF), (1, 0, 255)),
    ],
)
def test_lab_is_rounded(signed: bool, stored: Any, expected: Any) -> None:
    """To the nearest byte, without running over; signs stay."""
    samples = np.array(stored, np.int32).astype(np.uint16).reshape(1, 1, 3)
    assert _rounded_lab(samples, signed=signed).ravel().tolist() == list(expected)


LEVELS = [RGB[::factor, ::factor] for factor in (1, 2, 4, 8)]


def write_pyramid(path: Path, *, subifds: bool, marked: bool = True, floor: bool = False) -> Path:
    """A tiled pyramid whose levels are told apart by their colour: level n has n tens in blue."""
    with tifffile.TiffWriter(path) as tiff:
        for number, factor in enumerate((1, 2, 4, 8)):
            level = RGB[::factor, ::factor].copy()
            if floor:
                level = level[: HEIGHT // factor, : WIDTH // factor]
            level[..., 2] = 10 * number
            options: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32), "metadata": None}
            if number and marked:
                options["subfiletype"] = 1
            if subifds and not number:
                options["subifds"] = 3
            tiff.write(level, **options)
    return path


@pytest.mark.parametrize(("subifds", "marked"), [(False, True), (False, False), (True, True), (True, False)])
def test_pyramids(tmp_path: Path, bench: Bench, opened: Any, *, subifds: bool, marked: bool) -> None:
    """In pages or SubIFDs, marked as reduced or not: each level answers where it suffices."""
    path = write_pyramid(tmp_path / "a.tif", subifds=subifds, marked=marked)
    header = opened(path).header
    assert (header.reductions, header.parts) == ((1, 2, 4, 8), True)
    for number, factor in enumerate((1, 2, 4, 8)):
        size = Dimensions(-(-WIDTH // factor), -(-HEIGHT // factor))
        pixels = bench.pixels(path, f"full/{size.width},{size.height}/0/default.png")
        assert (pixels[..., 2] == 10 * number).all()
        assert (pixels[..., :2] == RGB[::factor, ::factor, :2]).all()
    between = bench.pixels(path, "full/100,/0/default.png")
    assert (between[..., 2] == 10).all()
    part = bench.pixels(path, "64,64,128,128/32,32/0/default.png")
    assert (part[..., 2] == 20).all()
    assert (part[..., :2] == RGB[64:192:4, 64:192:4, :2]).all()


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_levels_that_were_rounded_down(tmp_path: Path, bench: Bench, orientation: int) -> None:
    """Their last column and row are repeated; everything stays in its place."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 2, 4):
            level = RGB[: HEIGHT // factor * factor : factor, : WIDTH // factor * factor : factor]
            whole = RGB if factor == 1 else level
            orient = (274, "H", 1, orientation, True)
            tiff.write(
                whole,
                photometric="rgb",
                tile=(32, 32),
                subfiletype=int(factor > 1),
                extratags=[orient],
                metadata=None,
            )
    for factor in (2, 4):
        level = RGB[: HEIGHT // factor * factor : factor, : WIDTH // factor * factor : factor]
        wide, high = -(-WIDTH // factor), -(-HEIGHT // factor)
        padded = np.pad(level, ((0, high - level.shape[0]), (0, wide - level.shape[1]), (0, 0)), mode="edge")
        if orientation == 1:
            pixels = bench.pixels(path, f"full/{wide},{high}/0/default.png")
            assert (pixels == padded).all()
            edge = f"{WIDTH - 13},0,13,{HEIGHT}/{ceil(13 / factor)},{high}/0/default.png"
            assert mean_error(bench.pixels(path, edge), padded[:, -ceil(13 / factor) :].astype(np.int64)) < 6
        else:
            upright = np.rot90(RGB, 2) if orientation == 3 else np.rot90(RGB, -1)
            size = f"{wide},{high}" if orientation == 3 else f"{high},{wide}"
            pixels = bench.pixels(path, f"full/{size}/0/default.png")
            expected = Image.fromarray(upright).resize(pixels.shape[1::-1], Image.Resampling.BOX)
            assert mean_error(pixels, array(expected)) < 12


def test_pages(tmp_path: Path, bench: Bench) -> None:
    """Each is an image of its own; levels and masks are no pages."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for number in (1, 2, 3):
            page = np.full((40 * number, 64 * number, 3), 60 * number, np.uint8)
            tiff.write(page, photometric="rgb", tile=(16, 16), metadata=None)
            tiff.write(page[::2, ::2], photometric="rgb", tile=(16, 16), subfiletype=1, metadata=None)
        tiff.write(np.zeros((40, 64), bool), subfiletype=4, metadata=None)
    for number in (1, 2, 3):
        file = SourceFile(str(path), "1", number)
        properties = SourceProperties.from_json(bench.workbench.probe(file)[0])
        assert properties.size == (64 * number, 40 * number)
    for number in (4, 5, 99_999):
        with pytest.raises(ImageNotFound):
            bench.workbench.probe(SourceFile(str(path), "1", number))


def test_only_tiffs_have_pages(tmp_path: Path, bench: Bench) -> None:
    """Anything else is found under its own name only."""
    picture(8, 8).save(tmp_path / "a.png")
    with pytest.raises(ImageNotFound):
        bench.workbench.probe(SourceFile(str(tmp_path / "a.png"), "1", 2))


def test_a_part_decodes_what_it_touches(tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the whole page."""
    path = write(tmp_path / "a.tif", RGB, photometric="rgb", tile=(32, 32))
    read: list[int] = []
    pread = __import__("os").pread

    def counted(*arguments: int) -> bytes:
        read.append(arguments[1])
        return bytes(pread(*arguments))

    source = opened(path)
    monkeypatch.setattr("iiif_server.imaging.readers.tiff.segments.os.pread", counted)
    source.decode(1, Rectangle(40, 40, 50, 20))
    assert len(read) == 2
    source.decode(1, Rectangle(31, 31, 2, 2))
    assert len(read) == 2 + 4


@pytest.mark.parametrize("factor", [1, 2])
def test_tiles_are_decoded_once_for_regions_that_cut_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    """Neighbours find them, the answer is that of a look of its own, and a viewer's tiles are not kept."""
    path = pyramids.write_pyramid(tmp_path / "a.tif", picture(1000, 900), pyramids.KINDS[4], 192)
    requests = [
        f"{x},{y},400,300/{400 // factor},{300 // factor}/0/default.png" for x, y in ((7, 9), (300, 260))
    ]
    alone = []
    for request in requests:
        workbench = Workbench(WorkbenchSettings(decoded_bytes=0))
        alone.append(Bench(workbench).pixels(path, request))
        workbench.close()
    decoded: list[Rectangle | None] = []
    original = TiffSource.decode

    def counted(self: Any, reduction: int, part: Rectangle | None) -> Any:
        decoded.append(part)
        return original(self, reduction, part)

    monkeypatch.setattr(TiffSource, "decode", counted)
    workbench = Workbench(WorkbenchSettings(decoded_bytes=64 << 20))
    try:
        bench = Bench(workbench)
        for request, expected in zip(requests, alone, strict=True):
            assert (bench.pixels(path, request) == expected).all()
        assert len(decoded) == len(set(decoded)) > 1
        kept = workbench._levels.used
        side = decoded[0].width * factor if decoded[0] else 0
        bench.pixels(path, f"0,0,{side},{side}/{side // factor},/0/default.png")
        assert workbench._levels.used == kept
    finally:
        workbench.close()


def test_a_tiled_page_may_be_larger_than_what_is_decoded_at_once(tmp_path: Path, opened: Any) -> None:
    """A part of it is served; all of it is not."""
    path = write(tmp_path / "a.tif", RGB, photometric="rgb", tile=(32, 32))
    source = opened(path, max_pixels=10_000)
    assert source.decode(1, Rectangle(0, 0, 100, 100)).image.size == (100, 100)
    with pytest.raises(SourceTooLarge):
        source.decode(1, None)
    with pytest.raises(SourceTooLarge):
        opened(write(tmp_path / "b.tif", RGB, photometric="rgb"), max_pixels=10_000)


def test_what_tifffile_leaves_libtiff_reads(tmp_path: Path, opened: Any, bench: Bench) -> None:
    """Subsampled YCbCr without JPEG, for one."""
    path = tmp_path / "a.tif"
    assert isinstance(opened(write(path, RGB, photometric="rgb")), TiffSource)
    Image.fromarray(RGB).convert("YCbCr").save(path, compression="tiff_lzw")
    source = opened(path)
    assert isinstance(source, TiffSource | LibtiffSource)
    assert mean_error(bench.pixels(path), RGB.astype(np.int64)) < 4


@pytest.mark.parametrize("field", ["missing", "large", "beyond"])
def test_tables_that_lie(tmp_path: Path, field: str) -> None:
    """Missing tiles are black, damaged ones an error; nothing is read from outside the file."""
    path = write(tmp_path / "a.tif", GRAY, photometric="minisblack", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tags = tiff.pages.first.tags
        counts, offsets = list(tags[325].value), list(tags[324].value)
        if field == "missing":
            counts[0] = offsets[0] = 0
        elif field == "large":
            counts[0] = 65_535
        else:
            offsets[0] = 2**32 - 2
        tags[325].overwrite(counts)
        tags[324].overwrite(offsets)
    workbench = Workbench(WorkbenchSettings())
    try:
        if field == "beyond":
            with pytest.raises(UnreadableSource):
                Bench(workbench).render(path)
        else:
            pixels = Bench(workbench).pixels(path)
            assert (pixels[64:] == GRAY[64:]).all()
            assert field == "large" or (pixels[:64, :64] == 0).all()
    finally:
        workbench.close()


def test_a_tile_may_not_hold_a_larger_jpeg(tmp_path: Path, bench: Bench) -> None:
    """A few bytes could unfold to gigabytes."""
    path = write(tmp_path / "a.tif", GRAY, photometric="minisblack", tile=(64, 64), compression="jpeg")
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
    path.write_bytes(data)
    with pytest.raises(UnreadableSource):
        bench.render(path)


@pytest.mark.parametrize(
    ("stored", "offered"),
    [(None, None), (256, 256), (240, 240), (1024, 1024), (2048, None), (64, 192), (16, 192), (176, 352)],
)
def test_stored_tiles_are_offered(
    tmp_path: Path, bench: Bench, stored: int | None, offered: int | None
) -> None:
    """As they are, or several together if they are small; none that are too large."""
    tile = (stored, stored) if stored else None
    path = write(tmp_path / "a.tif", GRAY, photometric="minisblack", tile=tile)
    assert bench.probe(path).tile == ((offered, offered) if offered else None)


def test_tiles_lie_as_the_image_does(tmp_path: Path, bench: Bench) -> None:
    """Upright."""
    turned = (274, "H", 1, 6, True)
    path = write(tmp_path / "a.tif", GRAY, photometric="minisblack", tile=(256, 512), extratags=[turned])
    assert bench.probe(path).tile == (256, 512)


def test_resolution(tmp_path: Path, opened: Any) -> None:
    """In pixels per inch, where it is the same both ways."""
    cases: list[tuple[dict[str, Any], float | None]] = [
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, 300),
        ({"resolution": (100, 100), "resolutionunit": "CENTIMETER"}, 254),
        ({"resolution": (300, 150), "resolutionunit": "INCH"}, None),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, None),
    ]
    for number, (options, expected) in enumerate(cases):
        path = write(tmp_path / f"{number}.tif", GRAY, photometric="minisblack", **options)
        assert opened(path).header.resolution == (pytest.approx(expected) if expected else None)

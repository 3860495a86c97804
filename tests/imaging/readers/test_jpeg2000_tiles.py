"""JPEG 2000 in tiles: parts are, pixel for pixel, parts of what the whole gives."""

import shutil
import struct
import subprocess
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st
from PIL import Image

from iiif_server.errors import SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging import pieces
from iiif_server.imaging.decode import decode_level
from iiif_server.imaging.readers.jp2 import read_colours
from iiif_server.imaging.readers.jpeg2000 import Jpeg2000Source, open_jpeg2000
from iiif_server.imaging.readers.jpeg2000_tiles import TiledJpeg2000Source
from iiif_server.imaging.tasks import SourceFile, SourceLimits, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import Bench, array, picture
from tests.support.jp2 import boxed, colour, image_header

MOST = 10**9
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
OPJ = shutil.which("opj_compress")


def tiled(path: Path, width: int, height: int, bands: int = 3, **options: Any) -> Path:
    """A file in tiles of 48 x 32 pixels, or as told."""
    image = picture(width, height, bands=bands)
    image.save(path, "JPEG2000", **{"tile_size": (48, 32), "no_jp2": path.suffix == ".j2k", **options})
    return path


def check_parts(path: Path, parts: list[tuple[float, float, float, float]]) -> set[bool]:
    """Compare parts of all levels with the whole as the reader without tiles gives it.

    Returns:
        Whether the levels came out of the decoder.
    """
    ways = set()
    with path.open("rb") as file, path.open("rb") as other:
        source = open_jpeg2000(file, SourceLimits())
        assert isinstance(source, TiledJpeg2000Source)
        whole = Jpeg2000Source(other, source.header, read_colours(other))
        for factor in source.header.reductions:
            ways.add(source._codestream.header.reduces(factor))
            expected = array(decode_level(whole, factor, None, MOST))
            assert (array(decode_level(source, factor, None, MOST)) == expected).all()
            level = level_size(source.header.stored, factor)
            for x, y, width, height in parts:
                left, top = int(x * level.width), int(y * level.height)
                part = Rectangle(
                    left,
                    top,
                    max(1, int(width * (level.width - left))),
                    max(1, int(height * (level.height - top))),
                )
                found = array(decode_level(source, factor, part, MOST))
                assert (found == expected[top : top + part.height, left : left + part.width]).all(), part
    return ways


PARTS = [(0, 0, 0.3, 0.3), (0.4, 0.3, 0.5, 0.2), (0.8, 0.7, 1, 1), (0.99, 0.99, 1, 1), (0, 0.5, 1, 0.01)]
fractions = st.floats(0, 0.999)


# The encoder fails over some combinations, and can take the process with it: always the same examples.
@settings(max_examples=20, derandomize=True, phases=[Phase.generate])
@given(st.data())
def test_any_file(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Of any size, grid, offsets, progression, precincts, code-blocks, layers, wavelet and container."""
    draw = data.draw
    options: dict[str, Any] = {
        "tile_size": (draw(st.integers(32, 90)), draw(st.sampled_from([32, 64, 77]))),
        "num_resolutions": draw(st.sampled_from([1, 2, 3, 6])),
        "codeblock_size": draw(st.sampled_from([(64, 64), (32, 32), (16, 64)])),
        "irreversible": draw(st.booleans()),
        "progression": draw(st.sampled_from(["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])),
        "quality_layers": draw(st.sampled_from([[4], [40, 10, 2]])),
        "mct": draw(st.integers(0, 1)),
        "plt": draw(st.booleans()),
    }
    if draw(st.booleans()):
        options["precinct_size"] = draw(st.sampled_from([(64, 64), (64, 128)]))
    if draw(st.integers(0, 3)) == 0:
        across, down = options["tile_size"]
        grid = draw(st.integers(0, 40)), draw(st.integers(0, 40))
        options["tile_offset"] = grid
        options["offset"] = (
            grid[0] + draw(st.integers(0, across - 1)),
            grid[1] + draw(st.integers(0, down - 1)),
        )
    width, height = draw(st.integers(91, 260)), draw(st.integers(91, 200))
    suffix = draw(st.sampled_from(["jp2", "j2k"]))
    path = tmp_path_factory.mktemp("any") / f"a.{suffix}"
    try:
        tiled(path, width, height, draw(st.integers(1, 4)), **options)
    except OSError:
        reject()
    parts = draw(st.lists(st.tuples(fractions, fractions, fractions, fractions), min_size=1, max_size=4))
    check_parts(path, parts)


@pytest.mark.parametrize("tile", [(77, 77), (45, 32), (100, 60), (64, 64)])
@pytest.mark.parametrize("options", [{}, {"num_resolutions": 3}, {"precinct_size": (64, 64)}], ids=str)
def test_tiles_of_any_size(tmp_path: Path, tile: tuple[int, int], options: dict[str, Any]) -> None:
    """Also where moving a tile by its own size would make odd places even, or cut code-blocks elsewhere."""
    assert True in check_parts(tiled(tmp_path / "a.jp2", 260, 200, tile_size=tile, **options), PARTS)


@pytest.mark.skipif(OPJ is None, reason="opj_compress is not installed")
@pytest.mark.parametrize(
    "options",
    [
        ["-TP", "R", "-p", "RPCL"],
        ["-TP", "L", "-r", "40,10,2", "-p", "LRCP"],
        ["-TP", "C", "-p", "CPRL"],
        ["-SOP", "-EPH", "-p", "PCRL", "-c", "[64,64],[32,32]"],
        ["-TLM", "-PLT", "-I", "-r", "30,10"],
        ["-POC", "T1=0,0,1,3,3,RLCP/T1=3,0,1,6,3,CPRL"],
        ["-M", "63"],
        ["-ROI", "c=0,U=3"],
        ["-d", "37,21", "-T", "5,7"],
    ],
    ids=" ".join,
)
def test_what_other_encoders_write(tmp_path: Path, options: list[str]) -> None:
    """Several parts for each tile, markers between packets, lengths, changes of progression, all modes."""
    picture(301, 203).save(tmp_path / "a.ppm")
    path = tmp_path / "a.jp2"
    command = [str(OPJ), "-i", str(tmp_path / "a.ppm"), "-o", str(path), "-t", "64,64", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    check_parts(path, PARTS)


def test_levels_that_pillow_does_not_decode_are_averaged(tmp_path: Path) -> None:
    """As of the whole: of an image that does not begin at 0, or that is stored with fewer levels."""
    assert check_parts(tiled(tmp_path / "a.jp2", 256, 256, tile_size=(64, 64)), PARTS) == {True}
    offset = tiled(tmp_path / "b.jp2", 256, 256, tile_size=(64, 64), offset=(64, 64), tile_offset=(64, 64))
    assert check_parts(offset, PARTS) == {True, False}
    few = tiled(tmp_path / "c.jp2", 256, 256, tile_size=(64, 64), num_resolutions=2)
    assert check_parts(few, PARTS) == {True, False}


def test_luma_and_chroma(tmp_path: Path, bench: Bench) -> None:
    """What the file says of its colours holds for parts as well."""
    codestream = BytesIO()
    image = picture(256, 256)
    image.convert("YCbCr").save(tmp_path / "x.jpg")
    ycc = Image.merge("RGB", image.convert("YCbCr").split())
    ycc.save(codestream, "JPEG2000", tile_size=(64, 64), no_jp2=True, mct=0)
    path = tmp_path / "a.jp2"
    boxes = [image_header(256, 256, 3, 8), colour((18).to_bytes(4))]
    path.write_bytes(boxed(codestream.getvalue(), *boxes))
    check_parts(path, PARTS)
    found = bench.pixels(path, "70,70,60,60/max/0/default.png")
    assert np.abs(found - array(image)[70:130, 70:130]).max() <= 3


def test_gray_of_16_bits(tmp_path: Path) -> None:
    """Pillow has a mode for it."""
    values = np.add.outer(np.arange(256), np.arange(256) * 200).astype(np.uint16)
    path = tmp_path / "a.jp2"
    Image.fromarray(values).save(path, "JPEG2000", tile_size=(64, 64))
    check_parts(path, PARTS)


def opened(path: Path, **limits: Any) -> Any:
    with path.open("rb") as file:
        return open_jpeg2000(file, SourceLimits(**limits))


def test_what_is_not_read_by_tiles(tmp_path: Path) -> None:
    """One tile, a header box that says another size, and packet headers in one place."""
    assert isinstance(opened(tiled(tmp_path / "a.jp2", 48, 32)), Jpeg2000Source)
    path = tiled(tmp_path / "b.jp2", 96, 32)
    data = path.read_bytes()
    assert isinstance(opened(path), TiledJpeg2000Source)
    path.write_bytes(data.replace(struct.pack(">II", 32, 96), struct.pack(">II", 32, 95), 1))
    assert isinstance(opened(path), Jpeg2000Source)
    at = data.index(b"\xff\x90")
    path.write_bytes(data[:at] + b"\xff\x60\0\4\0\0" + data[at:])
    assert isinstance(opened(path), Jpeg2000Source)


def test_pixels_count_where_they_are_decoded(tmp_path: Path) -> None:
    """Of a tiled image those of the part; of any other, all."""
    path = tiled(tmp_path / "a.jp2", 512, 512, tile_size=(64, 64))
    workbench = Workbench(WorkbenchSettings(limits=SourceLimits(max_pixels=300 * 300)))
    try:
        bench = Bench(workbench)
        whole = array(Image.open(path))
        assert (bench.pixels(path, "100,200,70,80/max/0/default.png") == whole[200:280, 100:170]).all()
        assert bench.pixels(path, "full/100,/0/default.png").shape == (100, 100, 3)
        for request in ("full/max/0/default.png", "0,0,400,300/max/0/default.png"):
            with pytest.raises(SourceTooLarge):
                bench.pixels(path, request)
        with pytest.raises(SourceTooLarge):
            bench.probe(tiled(tmp_path / "b.jp2", 512, 512, tile_size=None))
        with pytest.raises(SourceTooLarge):  # a tile has more than that
            bench.probe(tiled(tmp_path / "c.jp2", 512, 512, tile_size=(512, 256)))
    finally:
        workbench.close()


def test_damage_hurts_who_touches_it(tmp_path: Path, bench: Bench) -> None:
    """The other tiles are served; a cut off file serves those that came before."""
    path = tiled(tmp_path / "a.j2k", 256, 64, tile_size=(64, 64))
    data = path.read_bytes()
    whole = array(data)
    with path.open("rb") as file:
        source = open_jpeg2000(file, SourceLimits())
        assert isinstance(source, TiledJpeg2000Source)
        third = source._codestream.parts[2][0]
    broken = tmp_path / "broken.j2k"
    broken.write_bytes(data[: third.start + 14] + b"\xff" * 200 + data[third.start + 214 :])
    cut = tmp_path / "cut.j2k"
    cut.write_bytes(data[: third.end - 9])
    for bad in (broken, cut):
        assert (bench.pixels(bad, "0,0,128,64/max/0/default.png") == whole[:, :128]).all()
        for request in (
            "130,0,10,10/max/0/default.png",
            "100,0,60,10/max/0/default.png",
            "full/max/0/default.png",
        ):
            with pytest.raises(UnreadableSource):
                bench.pixels(bad, request)
    assert (bench.pixels(broken, "192,0,64,64/max/0/default.png") == whole[:, 192:]).all()


def test_pieces_are_kept(tmp_path: Path, monkeypatch: Any) -> None:
    """A neighbour needs no second look at the tile; what is beyond the budget is decoded and forgotten."""
    monkeypatch.setattr(pieces, "_SMALLEST", 64)
    path = tiled(tmp_path / "a.jp2", 256, 256, tile_size=(64, 64))
    whole = array(Image.open(path))
    decoded: list[Rectangle | None] = []
    original = TiledJpeg2000Source.decode

    def counted(self: Any, reduction: int, part: Rectangle | None) -> Any:
        decoded.append(part)
        return original(self, reduction, part)

    monkeypatch.setattr(TiledJpeg2000Source, "decode", counted)
    workbench = Workbench(WorkbenchSettings(decoded_bytes=4 * 64 * 64 * 4))
    try:
        bench = Bench(workbench)
        for x, y in ((0, 0), (32, 0), (0, 32), (32, 32)):
            found = bench.pixels(path, f"{x},{y},32,32/max/0/default.png")
            assert (found == whole[y : y + 32, x : x + 32]).all()
        assert decoded == [Rectangle(0, 0, 64, 64)]
        assert (bench.pixels(path, "32,32,64,64/max/0/default.png") == whole[32:96, 32:96]).all()
        assert decoded[1:] == [Rectangle(64, 0, 64, 64), Rectangle(0, 64, 64, 64), Rectangle(64, 64, 64, 64)]
        assert workbench._levels.used == 4 * 64 * 64 * 4
        del decoded[:]
        assert (bench.pixels(path, "10,10,200,130/max/0/default.png") == whole[10:140, 10:210]).all()
        assert len(decoded) == 1
    finally:
        workbench.close()


@pytest.mark.parametrize("tile", [(64, 64), (100, 60), (256, 256)])
def test_what_viewers_ask_for_has_no_seams(tmp_path: Path, bench: Bench, tile: tuple[int, int]) -> None:
    """Tiles of every level, put together, are the level."""
    path = tiled(tmp_path / "a.jp2", 420, 300, tile_size=tile)
    for factor in (1, 2, 4):
        level = level_size(Dimensions(420, 300), factor)
        expected = bench.pixels(path, f"full/{level.width},{level.height}/0/default.png")
        xs, ys = [*range(0, level.width, 128), level.width], [*range(0, level.height, 128), level.height]
        for (left, right), (top, bottom) in ((x, y) for x in pairwise(xs) for y in pairwise(ys)):
            width, height = min(right * factor, 420) - left * factor, min(bottom * factor, 300) - top * factor
            request = (
                f"{left * factor},{top * factor},{width},{height}/{right - left},{bottom - top}/0/default.png"
            )
            assert (bench.pixels(path, request) == expected[top:bottom, left:right]).all(), request


def test_a_source_stays_open_for_its_credit(tmp_path: Path) -> None:
    """Which is read from the whole file."""
    path = tiled(tmp_path / "a.jp2", 256, 256, tile_size=(64, 64))
    workbench = Workbench(WorkbenchSettings())
    try:
        opened = workbench._open(SourceFile(str(path), "1"))
        assert not opened.source.credit()
    finally:
        workbench.close()

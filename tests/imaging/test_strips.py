"""Parts of a JPEG cut out strip by strip, against TurboJPEG's cutting all of it at once."""

import io
import random
from functools import partial

import numpy as np
import pytest
from PIL import Image

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import full_scale_tiles
from iiif_server.imaging import lossless
from iiif_server.imaging.scan import Scan
from iiif_server.imaging.strips import cut_in_strips
from tests.imaging.helpers import jpeg, picture

pytestmark = pytest.mark.skipif(not lossless.lossless_available(), reason="jpegtran-cffi is not installed")

SIZE = (1061, 1610)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))


def dense(*, top: bool) -> Image.Image:
    """All that takes room at one end, so that what a strip takes can't be guessed."""
    image = Image.new("RGB", (1061, 4000), "white")
    image.paste(noise(1061, 500), (0, 0 if top else 3500))
    return image


SOURCES = {
    "4:4:4": jpeg(picture(*SIZE), subsampling=0),
    "4:2:2": jpeg(picture(*SIZE), subsampling=1),
    "4:2:0": jpeg(picture(*SIZE), subsampling=2),
    "gray": jpeg(picture(*SIZE, bands=1)),
    "whole units": jpeg(picture(1024, 1536)),
    "one color": jpeg(Image.new("RGB", SIZE, (255, 255, 255))),
    "every coefficient": jpeg(noise(*SIZE), quality=100, subsampling=0),
    "dense at the top": jpeg(dense(top=True), quality=95),
    "dense at the bottom": jpeg(dense(top=False), quality=95),
    "narrow": jpeg(picture(7, 1300)),
}
OTHERS = {
    "own tables": jpeg(picture(*SIZE), optimize=True),
    "progressive": jpeg(picture(*SIZE), progressive=True),
    "restarts": jpeg(picture(*SIZE), restart_marker_rows=1),
}


def library():
    return lossless.load_library()


def in_strips(data: bytes, parts: list[Rectangle]) -> dict[Rectangle, bytes]:
    """Nothing but what comes strip by strip."""
    scan = Scan.of(data)
    assert scan is not None
    assert scan.is_standard
    transform = partial(lossless.transformed, library(), is_certain=False)
    return dict(cut_in_strips(transform, scan, parts))


def tiles(data: bytes) -> list[Rectangle]:
    return list(full_scale_tiles(Dimensions(*Image.open(io.BytesIO(data)).size)))


def crop(data: bytes, part: Rectangle) -> bytes:
    """As the library has it."""
    return bytes(library().Transformation(data).crop(*part))


@pytest.mark.parametrize("kind", SOURCES)
def test_strips_give_the_bytes_that_the_whole_gives(kind: str) -> None:
    """Of all tiles, and of each by itself."""
    data = SOURCES[kind]
    parts = tiles(data)
    cut = in_strips(data, parts)
    assert cut == {part: crop(data, part) for part in parts}
    for part in parts:
        assert in_strips(data, [part]) == {part: cut[part]}


@pytest.mark.parametrize("kind", SOURCES)
def test_any_rows_can_be_wanted(kind: str) -> None:
    """Parts that overlap, with gaps between them, given in any order."""
    data = SOURCES[kind]
    width, height = Image.open(io.BytesIO(data)).size
    parts = [
        Rectangle(0, y, width, min(lines, height - y))
        for y, lines in ((1280, 20), (16, 1), (800, 400), (32, 300), (0, 40), (1008, 300))
    ]
    assert in_strips(data, parts) == {part: crop(data, part) for part in parts}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kind_is_cut_at_once(kind: str) -> None:
    data = OTHERS[kind]
    scan = Scan.of(data)
    assert scan is None or not scan.is_standard
    assert lossless.cut(library(), data, tiles(data)) == {part: crop(data, part) for part in tiles(data)}


@pytest.mark.parametrize("kind", OTHERS)
def test_much_of_another_kind_is_cut_in_strips_as_well(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it was written anew; damaged, nothing comes either way."""
    data, all_at_once = OTHERS[kind], lossless.cut(library(), OTHERS[kind], tiles(OTHERS[kind]))
    middle = len(data) // 2
    damaged = data[:middle] + b"\xff\xd8" + data[middle:]
    seen, whole = [], lossless.transformed

    def watched(library, data, parts, **options):
        seen.append(len(parts))
        return whole(library, data, parts, **options)

    monkeypatch.setattr(lossless, "transformed", watched)
    monkeypatch.setattr(lossless, "PIXELS_AT_ONCE", 1_000_000)
    assert lossless.cut(library(), data, tiles(data), spares_memory=True) == all_at_once
    assert seen == [1, 5, 5, 5, 5]  # all of it; then each strip, its last unit, and three tiles
    assert lossless.cut(library(), damaged, tiles(data), spares_memory=True) == {}
    assert lossless.cut(library(), damaged, tiles(data)) == {}


def test_a_scan_that_is_not_coded_as_usual_is_followed_no_further() -> None:
    """Zeros that need not be stated, in the second strip: what comes back is not what was handed over."""
    data = jpeg(Image.new("L", (8, 1200), 128))
    scan = Scan.of(data)
    assert scan is not None
    (block,) = scan.blocks
    flat, wordy = (block.dc.write(0) + zeros + block.ac.write(0) for zeros in ("", block.ac.write(0xF0)))
    bits = flat * 70 + wordy * 80
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    parts = [Rectangle(0, y, 8, min(512, 1200 - y)) for y in (0, 512, 1024)]
    wasteful = scan.head + body + b"\xff\xd9"
    assert {part: crop(wasteful, part) for part in parts} == {part: crop(data, part) for part in parts}
    assert lossless.cut(library(), wasteful, parts) == {parts[0]: crop(data, parts[0])}


@pytest.mark.parametrize("kind", ["4:2:0", "gray", "own tables"])
def test_damage_takes_the_same_tiles_from_all(kind: str) -> None:
    """Whether a tile is cut by itself or with the others must not show; and nothing is raised."""
    whole = (SOURCES | OTHERS)[kind]
    parts, rng = tiles(whole), random.Random(4)
    begin, some = whole.index(b"\xff\xda") + 14, 0
    for _ in range(24):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 5))):
            data[rng.randrange(begin, len(data) - 2)] = rng.randrange(256)
        damaged = bytes(data)
        if rng.random() < 0.3:
            damaged = damaged[: rng.randrange(begin, len(data))] + b"\xff\xd9"
        together = lossless.cut(library(), damaged, parts)
        assert together == {
            part: made for part in parts for made in lossless.cut(library(), damaged, [part]).values()
        }
        some += 0 < len(together) < len(parts)
    assert some or kind == "own tables"


def test_headers_that_make_no_sense_are_no_scan() -> None:
    """Whatever they hold, nothing is raised."""
    whole, rng = SOURCES["4:2:0"], random.Random(5)
    begin, end = whole.index(b"\xff\xdb"), whole.index(b"\xff\xda") + 14
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(3):
            data[rng.randrange(begin, end)] = rng.randrange(256)
        scan = Scan.of(bytes(data))
        if scan is not None and scan.is_standard:
            lossless.cut(library(), bytes(data), [Rectangle(0, 0, 512, 512)])
    assert Scan.of(b"") is None
    assert Scan.of(b"\xff\xd8\xff\xd9") is None

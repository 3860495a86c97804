"""Every real image, asked for in every way, beside an independent computation; ``-s`` shows by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
import pytest
import tifffile

from iiif_server.iiif.geometry import Rectangle
from iiif_server.iiif.ladder import TILE, Limits, level_size, tile_grid
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.encode import available_formats
from tests.matrix import arithmetic, independent
from tests.matrix.arithmetic import Pixels, difference
from tests.matrix.asking import Asked, open_subject, seen
from tests.matrix.collection import BY_LIBJPEG, HALVED, SUBJECTS, Bound, Subject
from tests.support.tiles import viewer_tiles

TOO_LARGE = {"jp2-newspaper.jp2"}
"""To be made whole; its tiles are compared."""
TINY = {"bad-exif.jpg", "bad-ext-jpeg-as.png", "exif-long-description.jpg", "jpeg-icc-chunked.jpg"}
"""Smaller than the tile that is cut out."""
LARGEST_TURNED = 3_000_000
SMOOTH = 0.1
"""What moving a picture by a quarter of a pixel may change, on average, if it is too smooth to tell."""
HALVING = Bound(0.3, 16, "Lanczos is rounded between its two directions, in the reference at the end")
GRAY = Bound(0.02, 1, "gray is rounded once more")


def only(condition: Callable[[Subject], bool]) -> pytest.MarkDecorator:
    """Run a test for some of the files."""
    chosen = [subject for subject in SUBJECTS if condition(subject)]
    return pytest.mark.parametrize(
        "asked", chosen, ids=lambda subject: subject.name, indirect=True, scope="module"
    )


@pytest.fixture(scope="module", params=SUBJECTS, ids=lambda subject: subject.name)
def asked(request: pytest.FixtureRequest, shared_images: object) -> Iterator[Asked]:
    """Each file in turn, open."""
    opened = open_subject(request.param)
    yield opened
    opened.bench.workbench.close()


def middle(asked: Asked, width: int, height: int) -> Rectangle:
    """A part of at most this size, whose odd corner lies on no grid."""
    whole = asked.properties
    x, y = whole.width * 3 // 10 | 1, whole.height * 27 // 100 | 1
    return Rectangle(x, y, min(width, whole.width - x), min(height, whole.height - y))


def cut(pixels: Pixels, part: Rectangle) -> Pixels:
    return pixels[part.y : part.y + part.height, part.x : part.x + part.width]


def text(part: Rectangle) -> str:
    return ",".join(map(str, part))


def test_size_and_colour(asked: Asked) -> None:
    """As another reader has them."""
    other = seen(asked.subject)
    assert asked.properties.size == (other.width, other.height)
    assert other.coloured in {None, asked.properties.has_color}


@only(lambda subject: subject.name not in TOO_LARGE)
def test_the_whole(asked: Asked) -> None:
    """Every pixel at full size."""
    asked.compare("full/max/0", asked.pixels("full/max/0"), asked.reference, asked.subject.exact)


def test_a_part_as_it_is(asked: Asked) -> None:
    """A region at full size, off any grid, as PNG."""
    part = middle(asked, 301, 257)
    request = f"{text(part)}/max/0"
    asked.compare(request, asked.png(f"{request}/default"), cut(asked.reference, part), asked.subject.exact)


def test_a_part_turned(asked: Asked) -> None:
    """Mirrored first, then turned clockwise."""
    part = middle(asked, 301, 257)
    straight = cut(asked.reference, part)
    for rotation, expected in (("90", np.rot90(straight, -1)), ("!270", np.rot90(straight[:, ::-1], 1))):
        request = f"{text(part)}/max/{rotation}"
        asked.compare(request, asked.png(f"{request}/default"), expected, asked.subject.exact)


def test_a_part_in_gray(asked: Asked) -> None:
    """By the weights of BT.601."""
    part = middle(asked, 301, 257)
    request = f"{text(part)}/max/0"
    exact = asked.subject.exact
    bound = Bound(exact.mean + GRAY.mean, exact.largest + GRAY.largest, GRAY.why)
    asked.compare(request, asked.png(f"{request}/gray"), arithmetic.luma(cut(asked.reference, part)), bound)


def test_a_part_by_a_quarter(asked: Asked) -> None:
    """And where it belongs: nearer to the reference than to the same moved by a quarter of a pixel."""
    part = middle(asked, 384, 320)
    part = Rectangle(part.x, part.y, part.width // 4 * 4, part.height // 4 * 4)
    size = part.width // 4, part.height // 4
    request = f"{text(part)}/{size[0]},{size[1]}/0"
    answer = asked.png(f"{request}/default")
    expected = arithmetic.resampled(asked.reference, part, *size)
    scaled = asked.subject.scaled
    asked.compare(request, answer, expected, Bound(scaled.quarter, scaled.largest, scaled.why))
    if scaled.in_place:
        found = difference(answer, expected)[0]
        moved = [(part.x + dx, part.y + dy, *part.size) for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        elsewhere = (
            difference(answer, arithmetic.resampled(asked.reference, box, *size))[0] for box in moved
        )
        assert found <= min(elsewhere) + SMOOTH


def test_a_part_by_an_odd_factor(asked: Asked) -> None:
    """To 137 pixels, or a third."""
    part = middle(asked, 640, 512)
    width = 137 if part.width > 137 else max(1, part.width // 3)
    size = width, max(1, round(part.height * width / part.width))
    request = f"{text(part)}/{size[0]},{size[1]}/0"
    expected = arithmetic.resampled(asked.reference, part, *size)
    scaled = asked.subject.scaled
    bound = Bound(scaled.odd, scaled.largest, scaled.why)
    asked.compare(request, asked.png(f"{request}/default"), expected, bound)


@only(lambda subject: bool(subject.levels))
def test_levels_are_the_decoders(asked: Asked) -> None:
    """Where the file stores smaller levels, or the decoder makes them, nothing is resampled."""
    for factor, read in asked.subject.levels.items():
        size = level_size(asked.properties.size, factor)
        request = f"full/{size.width},{size.height}/0"
        expected = read(asked.subject.path)  # a maker or libvips may have rounded down
        answer = asked.pixels(request)[: expected.shape[0], : expected.shape[1]]
        asked.compare(request, answer, expected, asked.subject.exact)


@only(lambda subject: subject.levels is BY_LIBJPEG)
def test_smaller_jpegs_are_halved_by_lanczos(asked: Asked) -> None:
    """From the decoder's next finer level, where all pixels of both lie on each other."""
    for factor, read in HALVED.items():
        size = asked.properties.size
        if size.width % factor or size.height % factor:
            continue
        width, height = size.width // factor, size.height // factor
        finer = read(asked.subject.path)
        expected = arithmetic.resampled(finer, (0, 0, finer.shape[1], finer.shape[0]), width, height)
        bound = Bound(asked.subject.exact.mean + HALVING.mean, HALVING.largest, HALVING.why)
        request = f"full/{width},{height}/0"
        asked.compare(request, asked.pixels(request), expected, bound)


def test_tiles_are_the_whole(asked: Asked) -> None:
    """Those that a viewer asks for, at every scale factor, put together."""
    size, grid = asked.properties.size, tile_grid(asked.properties.size, Limits())
    assert grid is not None
    for factor in grid.scale_factors:
        level = stitched(asked, factor)
        if factor == 1:
            asked.compare("tiles of 1:1", level, asked.reference, asked.subject.exact)
            continue
        whole = asked.pixels(f"full/{level.shape[1]},{level.shape[0]}/0")
        bound = Bound(asked.subject.drift, 255 if asked.subject.drift else 0, "tiles have no joints")
        asked.compare(f"tiles of 1:{factor}", level, whole, bound)
        across, down = (side // (512 * factor) * 512 for side in size)
        if across and down:
            part = asked.pixels(f"0,0,{across * factor},{down * factor}/{across},{down}/0")
            assert np.array_equal(level[:down, :across], part)


def stitched(asked: Asked, factor: int) -> Pixels:
    """A level put together from a viewer's tiles."""
    size = asked.properties.size
    grid = {"width": TILE.width, "height": TILE.height, "scaleFactors": [factor]}
    width, height = level_size(size, factor)
    level = np.zeros((height, width, asked.reference.shape[2]), np.uint8)
    info = {"width": size.width, "height": size.height, "tiles": [grid]}
    for tile in viewer_tiles(info, factor):
        level[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = asked.pixels(
            f"{tile.parameters}/0"
        )
    return level


def test_a_pixel_is_the_same_in_every_region(asked: Asked) -> None:
    """Alone, in the middle, at an edge: its colour does not drift."""
    part = middle(asked, 96, 64)
    answer = asked.png(f"{text(part)}/max/0/default")
    for x, y, width, height in ((0, 0, 1, 1), (part.width // 3, part.height // 2, part.width // 2, 3)):
        inner = Rectangle(part.x + x, part.y + y, max(1, width), min(height, part.height - y))
        outer = Rectangle(0, 0, inner.x + inner.width, inner.y + inner.height)
        expected = answer[y : y + inner.height, x : x + inner.width]
        assert np.array_equal(asked.png(f"{text(inner)}/max/0/default"), expected)
        assert np.array_equal(cut(asked.pixels(f"{text(outer)}/max/0"), inner), expected)


METADATA = (
    b"Exif\0\0",
    b"eXIf",
    b"EXIF",
    b"ICC_PROFILE\0",
    b"iCCP",
    b"ICCP",
    b"acsp",
    b"colrprof",
    b"XMP ",
    b"xmpmeta",
)
"""What begins EXIF, ICC or XMP in each format; "acsp" is in every profile."""
TIFF_METADATA = {700, 33723, 34377, 34665, 34675, 34853}


def test_nothing_but_pixels_is_written(asked: Asked) -> None:
    """No profile, no EXIF, no XMP, in any format."""
    part = middle(asked, 32, 32)
    for name in available_formats():
        _, data = asked.file(f"{text(part)}/max/0/default.{name}")
        if name is Format.TIF:
            with tifffile.TiffFile(BytesIO(data)) as tiff:
                assert TIFF_METADATA.isdisjoint(tag.code for tag in tiff.pages.first.tags)
        assert [mark for mark in METADATA if mark in data] == [], name


LANES = {
    "copy": Bound(0, 0, "the data is the source's own"),
    "lossless": Bound(
        0.5, 24, "the blocks are the source's own; at their edges chroma is smoothed otherwise"
    ),
}


@only(lambda subject: subject.levels is BY_LIBJPEG and subject.name not in TINY)
def test_jpegs_are_passed_on_without_metadata(asked: Asked) -> None:
    """Whether their data is copied or rearranged, it is the same picture."""
    width, height = asked.properties.size
    tile = Rectangle(64, 32, min(512, width - 64), min(512, height - 32))
    expected = {f"{text(tile)}/max/0": cut(asked.reference, tile), "full/max/0": asked.reference}
    if width * height < LARGEST_TURNED:
        expected["full/max/90"] = np.rot90(asked.reference, -1)
    for request, picture in expected.items():
        lane, data = asked.file(f"{request}/default.jpg")
        if lane != "pixels":
            assert [mark for mark in METADATA if mark in data] == []
            asked.compare(f"{request} ({lane})", independent.decoded(data), picture, LANES[lane])

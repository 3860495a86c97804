"""Region, size and rotation in pixels: tiles that meet, exact sizes, and the same bytes every time."""

from collections.abc import Callable
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from iiif_server.errors import SourceChanging
from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.decode import decode_level
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.steps import scaled
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import PIXELS_ONLY, Bench, Pixels, array, exif, jpeg, mean_error, picture

WIDTH, HEIGHT, TILE = 1001, 751, 128
LANCZOS = Image.Resampling.LANCZOS


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture with odd sides, in formats that decode whole and in such that decode reduced."""
    folder = tmp_path_factory.mktemp("sources")
    image = picture(WIDTH, HEIGHT, noise=12)
    image.save(folder / "a.png", compress_level=1)
    image.save(folder / "a.tif", compression="tiff_lzw")
    image.save(folder / "a.jp2")
    image.save(folder / "a.jpg", quality=98, subsampling=0)
    (folder / "turned.jpg").write_bytes(
        jpeg(image.transpose(Image.Transpose.ROTATE_180), quality=98, subsampling=0, exif=exif(3))
    )
    image.putalpha(picture(WIDTH, HEIGHT, bands=1, seed=9))
    image.save(folder / "alpha.png", compress_level=1)
    return folder


def stitched(bench: Bench, path: Path, factor: int, tile: int = TILE) -> Pixels:
    """A level put together from its tiles, as a viewer does."""
    width, height = bench.probe(path).size
    step = tile * factor
    rows = []
    for y in range(0, height, step):
        row = []
        for x in range(0, width, step):
            w, h = min(step, width - x), min(step, height - y)
            size = f"{ceil(w / factor)},{ceil(h / factor)}"
            row.append(array(bench.render(path, f"{x},{y},{w},{h}/{size}/0/default.png")[1]))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def downscaled(path: Path, factor: int) -> Pixels:
    """The level by one independent resampling of the whole picture."""
    with Image.open(path) as image:
        upright = image.transpose(Image.Transpose.ROTATE_180) if path.name == "turned.jpg" else image.copy()
    # The level's grid begins at the origin, and its last pixels reach beyond the image.
    size = (ceil(upright.width / factor), ceil(upright.height / factor))
    margins = ((0, size[1] * factor - upright.height), (0, size[0] * factor - upright.width), (0, 0))
    padded = Image.fromarray(np.pad(np.asarray(upright), margins, mode="edge"))
    return array(padded.resize(size, LANCZOS))


LIMITS = {"a.png": 1, "a.tif": 1, "alpha.png": 1, "a.jpg": 1.2, "a.jp2": 2.5, "turned.jpg": 2.5}
"""Mean differences in levels, from averaging first, from DCT scaling, wavelets, and a shifted grid."""


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
@pytest.mark.parametrize("name", LIMITS)
def test_tiles_meet_without_a_seam(sources: Path, bench: Bench, name: str, factor: int) -> None:
    """All complete tiles of a level together are an independent downscale of the whole picture.

    Along the joints they differ from it no more than elsewhere.
    """
    tile = 32 if factor > 2 else TILE
    tiles = stitched(bench, sources / name, factor, tile)
    assert tiles.shape[:2] == (ceil(HEIGHT / factor), ceil(WIDTH / factor))
    bottom, right = (side // (tile * factor) * tile for side in (HEIGHT, WIDTH))
    error = np.abs(tiles - downscaled(sources / name, factor))[:bottom, :right]
    assert error.mean() <= (LIMITS[name] if factor > 1 else 0)
    joints = [at + side for at in range(tile, right, tile) for side in (-1, 0)]
    assert error[:, joints].mean() <= error.mean() * 1.3 + 0.1
    joints = [at + side for at in range(tile, bottom, tile) for side in (-1, 0)]
    assert error[joints].mean() <= error.mean() * 1.3 + 0.1


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "alpha.png"])
def test_edge_tiles_show_their_region(sources: Path, bench: Bench, name: str, factor: int) -> None:
    """The last tiles, of a rounded size, are an independent resampling of their part of the picture."""
    x, y = (side // (TILE * factor) * TILE * factor for side in (WIDTH, HEIGHT))
    width, height = WIDTH - x, HEIGHT - y
    size = (ceil(width / factor), ceil(height / factor))
    with Image.open(sources / name) as image:
        expected = array(image.resize(size, LANCZOS, box=(x, y, WIDTH, HEIGHT)))
    request = f"{x},{y},{width},{height}/{size[0]},{size[1]}/0/default.png"
    assert mean_error(bench.pixels(sources / name, request), expected) <= 1


def test_tiles_of_reduced_decoding_are_the_level(sources: Path, bench: Bench) -> None:
    """At half the size tiles are cut from what the decoder makes, and nothing is resampled."""
    with Image.open(sources / "a.jpg") as image:
        image.draft(None, (WIDTH // 2, HEIGHT // 2))
        level = array(image)
    assert (stitched(bench, sources / "a.jpg", 2) == level).all()


@pytest.mark.parametrize("width", [249, 200, 124, 100])
def test_jpegs_are_not_scaled_by_their_decoder_alone(sources: Path, bench: Bench, width: int) -> None:
    """Which would give 43 to 48 decibels here, and 36 of photographs: as little as a JPEG of high quality."""
    height = round(HEIGHT * width / WIDTH)
    with Image.open(sources / "a.jpg") as image:
        expected = array(image.resize((width, height), LANCZOS))
    found = bench.pixels(sources / "a.jpg", f"full/{width},{height}/0/default.png")
    assert 10 * np.log10(255**2 / np.square(found - expected).mean()) > 50


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 640, 480), (320, 240)),
        ((3.5, 7.25, 600.75, 470), (211, 163)),
        ((64, 48, 128, 96), (200, 150)),
        ((0.1, 0.3, 640, 480), (7, 480)),
        ((639.5, 479.5, 640, 480), (3, 3)),
        ((1 / 3, 2 / 3, 640 - 1 / 3, 480), (1, 1)),
    ],
)
def test_resampling_is_lanczos(
    mode: str, box: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    """As Pillow's, but for rounding: both round between the two directions, in another order."""
    level = picture(640, 480, bands=len(mode), noise=12)
    before = level.tobytes()
    found, expected = (
        array(scaled(level, box, Dimensions(*size))),
        array(level.resize(size, LANCZOS, box=box)),
    )
    assert mean_error(found, expected) < 0.6
    assert np.abs(found - expected).max() <= 8
    assert level.tobytes() == before


def test_a_box_may_reach_the_last_pixel_from_anywhere() -> None:
    """Also where adding its length to its start gives more than its end, by rounding."""
    level = picture(301, 7)
    for part in range(1, 300):
        assert scaled(level, (part / 7, 0, 301, 7), Dimensions(20, 5)).size == (20, 5)


def test_a_large_photograph_in_tiles(shared_images: Path, bench: Bench) -> None:
    """Three levels of twelve megapixels, in the tiles of a viewer."""
    path = shared_images / "photo-baseline-12mp.jpg"
    for factor in (4, 8, 16):
        assert mean_error(stitched(bench, path, factor, 512), downscaled(path, factor)) < 2


ODD_REQUESTS = [
    "full/max/0",
    "full/1,1/0",
    "full/333,17/0",
    "full/17,333/90",
    "0,0,1,1/max/0",
    "1000,750,1,1/max/!270",
    "1000,0,1,751/1,3/0",
    "0,750,1001,1/7,1/180",
    "3,5,700,500/699,499/0",
    "3,5,701,503/351,252/!90",
    "11,13,17,19/^170,190/0",
    "500,375,1,1/^64,64/0",
    "full/^1100,800/270",
    "13,17,900,600/1,600/0",
]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jp2", "turned.jpg", "alpha.png"])
def test_sizes_are_exact(sources: Path, bench: Bench, name: str) -> None:
    """To the pixel, for both formats and every quality."""
    for request, last in product(ODD_REQUESTS, ("default.jpg", "gray.png", "bitonal.png")):
        bench.render(sources / name, f"{request}/{last}")


@pytest.mark.parametrize("name", ["a.png", "turned.jpg"])
def test_parts_are_cut_where_they_are(sources: Path, bench: Bench, name: str) -> None:
    """At any scale the middle of the region is the middle of the result."""
    with Image.open(sources / name) as image:
        upright = image.transpose(Image.Transpose.ROTATE_180) if name == "turned.jpg" else image.copy()
    for region, size in (
        ((101, 53, 640, 480), (320, 240)),
        ((37, 211, 801, 333), (270, 111)),
        ((5, 5, 64, 48), (64, 48)),
    ):
        x, y, width, height = region
        request = f"{x},{y},{width},{height}/{size[0]},{size[1]}/0/default.png"
        expected = upright.resize(size, LANCZOS, box=(x, y, x + width, y + height))
        pixels = bench.pixels(sources / name, request)
        assert mean_error(pixels, array(expected)) < 4.5
        # Better than moved by one pixel in any direction.
        for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            assert mean_error(np.roll(pixels, shift, (0, 1)), array(expected)) > mean_error(
                pixels, array(expected)
            )


@pytest.mark.parametrize("rotation", ["0", "90", "180", "270", "!0", "!90", "!180", "!270"])
def test_mirrors_first_and_turns_clockwise(sources: Path, bench: Bench, rotation: str) -> None:
    """Image API 3.0 section 4.3."""
    straight = bench.pixels(sources / "a.png", "100,50,300,200/150,100/0/default.png")
    expected = straight[:, ::-1] if rotation.startswith("!") else straight
    expected = np.rot90(expected, -int(rotation.lstrip("!")) // 90)
    assert (
        bench.pixels(sources / "a.png", f"100,50,300,200/150,100/{rotation}/default.png") == expected
    ).all()


@pytest.mark.parametrize("width", [100, 101, 163, 1001, 1023])
def test_one_pixel_stands_for_all(tmp_path: Path, bench: Bench, width: int) -> None:
    """A ramp shrinks to its middle, however many pixels it has."""
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert abs(int(bench.pixels(tmp_path / "a.png", "full/1,/0/default.png")[0, 0]) - 127.5) <= 2


def test_colour_does_not_bleed_out_of_what_is_transparent(tmp_path: Path, bench: Bench) -> None:
    """Alpha weighs the colours while they are averaged; Image API clients see no fringe."""
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 33, 64))
    image.save(tmp_path / "a.png")
    pixels = bench.pixels(tmp_path / "a.png", "full/16,16/0/default.png")
    seen = pixels[pixels[..., 3] > 8]
    assert (seen[:, 0] < 10).all()
    assert (seen[:, 2] > 245).all()


def test_alpha_windows_change_nothing() -> None:
    """Cutting a window before resampling gives what resampling the whole level gives."""
    level = picture(200, 150, bands=4)
    for box, size in (
        ((10.5, 20.25, 90.5, 100.25), (40, 40)),
        ((0, 0, 200, 150), (50, 38)),
        ((150, 100, 200, 150), (125, 125)),
    ):
        window = array(scaled(level, box, Dimensions(*size)))
        assert np.abs(window - array(level.resize(size, LANCZOS, box=box))).max() <= 1


def test_scaled_leaves_the_level_alone() -> None:
    """It is shared with the next request."""
    level = picture(32, 32)
    before = level.tobytes()
    result = scaled(level, (0, 0, 32, 32), Dimensions(32, 32))
    result.putpixel((0, 0), (1, 2, 3))
    assert level.tobytes() == before


REQUESTS = [
    "full/max/0/default.jpg",
    "full/max/90/default.jpg",
    "256,256,256,256/max/0/default.jpg",
    "256,256,256,256/max/0/gray.png",
    "0,0,1001,751/126,94/0/default.jpg",
    "512,512,489,239/245,120/0/default.jpg",
    "3,5,601,433/100,72/0/bitonal.png",
    "full/200,/0/default.png",
    "full/60,/!270/gray.jpg",
]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jp2", "alpha.png"])
def test_the_same_task_gives_the_same_bytes(sources: Path, name: str) -> None:
    """Whatever was decoded before, and whatever fits into memory."""
    answers = []
    for order, settings in (
        (REQUESTS, WorkbenchSettings()),
        (REQUESTS[::-1], WorkbenchSettings(decoded_bytes=3_000_000)),
        (REQUESTS, WorkbenchSettings(decoded_bytes=0, open_sources=1)),
    ):
        workbench = Workbench(settings)
        bench = Bench(workbench)
        answers.append({request: bench.render(sources / name, request) for request in order})
        workbench.close()
    assert answers[0] == answers[1] == answers[2]


def test_settings_change_the_bytes(sources: Path, bench: Bench) -> None:
    """Each of them counts."""
    request = "0,0,500,400/250,200/0/default"
    first = bench.render(sources / "alpha.png", f"{request}.jpg")[1]
    for settings in (
        RenderSettings(jpeg_quality=60),
        RenderSettings(jpeg_subsampling=0),
        RenderSettings(background=(9, 9, 9)),
    ):
        assert bench.render(sources / "alpha.png", f"{request}.jpg", settings)[1] != first
    small = bench.render(sources / "a.png", f"{request}.png", RenderSettings(png_compression=9))[1]
    assert len(small) < len(
        bench.render(sources / "a.png", f"{request}.png", RenderSettings(png_compression=0))[1]
    )


def test_neighbours_do_not_decode_again(sources: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One decoding per level, for as many tiles as come."""
    decoded: list[int] = []
    monkeypatch.setattr("iiif_server.imaging.workbench.decode_level", counting(decoded))
    stitched(bench, sources / "a.jpg", 2)
    stitched(bench, sources / "a.png", 2)
    stitched(bench, sources / "a.png", 4)
    bench.render(sources / "a.jpg", "full/max/0/gray.png", PIXELS_ONLY)
    assert decoded == [2, 1, 1]


def counting(decoded: list[int]) -> Callable[..., Image.Image]:
    def decode(source: Source, reduction: int, *others: Any) -> Image.Image:
        decoded.append(reduction)
        return decode_level(source, reduction, *others)

    return decode


def test_jpeg2000_of_few_resolutions(tmp_path: Path, bench: Bench) -> None:
    """A file that stores one resolution is decoded whole and then shrunk."""
    image = picture(256, 128)
    image.save(tmp_path / "a.jp2", num_resolutions=1)
    pixels = bench.pixels(tmp_path / "a.jp2", "full/32,/0/default.png")
    assert mean_error(pixels, array(image.resize((32, 16), Image.Resampling.BOX))) < 3


def test_a_changed_file_is_noticed_by_its_size(sources: Path, bench: Bench, tmp_path: Path) -> None:
    """Not a wrong part of another picture."""
    path = tmp_path / "a.png"
    picture(40, 30).save(path)
    operation = bench.operation(path, "full/max/0/default.png")
    path.unlink()
    picture(41, 30).save(path)
    with pytest.raises(SourceChanging):
        bench.workbench.render(RenderTask(SourceFile(str(path), "2"), operation, RenderSettings()))

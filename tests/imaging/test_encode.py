"""Qualities and formats."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.encode import available_formats, encoded
from iiif_server.imaging.steps import flattened, in_quality
from iiif_server.imaging.tasks import RenderSettings
from tests.imaging.helpers import Bench, array, mean_error, picture

SETTINGS = RenderSettings()
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def sample(mode: str) -> Image.Image:
    return picture(40, 30, bands=4).convert(mode)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("mode", MODES)
def test_png_is_lossless(mode: str) -> None:
    """Alpha included."""
    image = sample(mode)
    result = opened(encoded(image, Quality.DEFAULT, Format.PNG, SETTINGS))
    assert result.mode == mode
    assert (array(result) == array(image)).all()


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (Quality.DEFAULT, {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"}),
        (Quality.GRAY, {"L": "L", "LA": "LA", "RGB": "L", "RGBA": "LA"}),
        (Quality.BITONAL, {"L": "1", "LA": "1", "RGB": "1", "RGBA": "1"}),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: str, quality: Quality, expected: dict[str, str]) -> None:
    """What PNG and JPEG files of each quality hold."""
    assert opened(encoded(sample(mode), quality, Format.PNG, SETTINGS)).mode == expected[mode]
    jpeg_mode = "L" if quality is not Quality.DEFAULT or mode in {"L", "LA"} else "RGB"
    assert opened(encoded(sample(mode), quality, Format.JPG, SETTINGS)).mode == jpeg_mode


def test_gray_is_luma_and_keeps_alpha() -> None:
    """ITU-R 601, rounded."""
    image = sample("RGBA")
    gray = array(in_quality(image, Quality.GRAY))
    expected = array(image)[..., :3] @ [0.299, 0.587, 0.114]
    assert np.abs(gray[..., 0] - expected).max() <= 0.6
    assert (gray[..., 1] == array(image)[..., 3]).all()


def test_bitonal_is_a_fixed_threshold() -> None:
    """The same for every tile: 128 and above is white, nothing is dithered."""
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (4, 1)))
    result = opened(encoded(ramp, Quality.BITONAL, Format.PNG, SETTINGS))
    assert (array(result) == (np.tile(np.arange(256), (4, 1)) >= 128)).all()
    as_jpeg = array(encoded(ramp, Quality.BITONAL, Format.JPG, SETTINGS))
    assert (as_jpeg[:, :120] < 60).all()
    assert (as_jpeg[:, 136:] > 195).all()


def test_bitonal_tiles_agree(tmp_path: Path, bench: Bench) -> None:
    """Stitched, they are the whole."""
    picture(200, 120).save(tmp_path / "a.png")
    whole = bench.pixels(tmp_path / "a.png", "full/max/0/bitonal.png")
    tiles = [bench.pixels(tmp_path / "a.png", f"{x},0,50,120/max/0/bitonal.png") for x in range(0, 200, 50)]
    assert (np.concatenate(tiles, axis=1) == whole).all()


@pytest.mark.parametrize("background", [(255, 255, 255), (10, 200, 30)])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_jpeg_lies_on_the_background(mode: str, background: tuple[int, int, int]) -> None:
    """Composed in proportion to alpha."""
    image = sample(mode)
    pixels = array(image.convert("RGBA"))
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] * alpha + np.array(background) * (1 - alpha)
    assert np.abs(array(flattened(image, background).convert("RGB")) - expected).max() <= 1.1
    settings = RenderSettings(jpeg_quality=98, jpeg_subsampling=0, background=background)
    result = opened(encoded(image, Quality.DEFAULT, Format.JPG, settings))
    assert mean_error(array(result.convert("RGB")), array(flattened(image, background).convert("RGB"))) < 3


def test_nothing_but_pixels_is_written(tmp_path: Path, bench: Bench) -> None:
    """What a source carries along stays out of the file, in every lane."""
    image = picture(64, 48)
    text = PngInfo()
    text.add_text("Comment", "secret")
    text.add_itxt("XML:com.adobe.xmp", "secret", zip=True)
    image.save(tmp_path / "a.png", pnginfo=text, dpi=(300, 300), exif=b"Exif\0\0secret")
    image.save(tmp_path / "a.jpg", comment=b"secret", dpi=(300, 300), exif=b"Exif\0\0secret", xmp=b"secret")
    image.save(tmp_path / "a.tif", dpi=(300, 300), tiffinfo={270: "secret"})
    image.save(tmp_path / "a.gif", comment=b"secret")
    for name in ("a.png", "a.jpg", "a.tif", "a.gif"):
        for request in (
            "full/max/0/default",
            "full/max/90/gray",
            "full/20,/0/bitonal",
            "1,1,20,20/max/0/color",
        ):
            assert b"secret" not in bench.render(tmp_path / name, f"{request}.jpg")[1]
            png = bench.render(tmp_path / name, f"{request}.png")[1]
            assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}


def chunks(png: bytes) -> list[bytes]:
    at, found = 8, []
    while at < len(png):
        found.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4])
    return found


def test_jpeg_is_baseline_in_the_configured_quality() -> None:
    """And in the configured subsampling."""
    for subsampling, factors in {0: 0x11, 1: 0x21, 2: 0x22}.items():
        data = encoded(
            sample("RGB"), Quality.DEFAULT, Format.JPG, RenderSettings(jpeg_subsampling=subsampling)
        )
        frame = data.index(b"\xff\xc0")
        assert data[frame + 11] == factors
    sizes = [
        len(encoded(sample("RGB"), Quality.DEFAULT, Format.JPG, RenderSettings(jpeg_quality=q)))
        for q in (30, 60, 95)
    ]
    assert sizes == sorted(sizes)


def test_a_jpeg_has_largest_sides() -> None:
    """Beyond them a PNG may do."""
    image = Image.new("L", (65_501, 1))
    with pytest.raises(InvalidRequest):
        encoded(image, Quality.DEFAULT, Format.JPG, SETTINGS)
    assert opened(encoded(image, Quality.DEFAULT, Format.PNG, SETTINGS)).size == (65_501, 1)


@pytest.mark.parametrize("target", available_formats())
@pytest.mark.parametrize("quality", [Quality.DEFAULT, Quality.GRAY, Quality.BITONAL])
@pytest.mark.parametrize("mode", MODES)
def test_every_format_holds_every_image(target: Format, quality: Quality, mode: str) -> None:
    """Of any size, with and without alpha, and the same bytes each time."""
    for size in ((1, 1), (1, 7), (9, 1), (17, 13), (33, 70)):
        image = picture(*size, bands=4).convert(mode)
        data = encoded(image, quality, target, SETTINGS)
        assert encoded(image, quality, target, SETTINGS) == data
        if target is Format.PDF:
            assert data.startswith(b"%PDF-")
            assert b"CreationDate" not in data
        else:
            assert opened(data).size == size


@pytest.mark.parametrize("target", [Format.WEBP, Format.TIF, Format.AVIF, Format.JP2, Format.GIF])
def test_alpha_stays_where_the_format_has_it(target: Format) -> None:
    """A hole is a hole."""
    image = Image.new("RGBA", (32, 32), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    result = opened(encoded(image, Quality.DEFAULT, target, SETTINGS)).convert("RGBA")
    alpha = array(result)[..., 3]
    assert alpha[:, :12].max() < 40
    assert alpha[:, 20:].min() > 215


@pytest.mark.parametrize(
    ("target", "bound"),
    [(Format.WEBP, 5), (Format.AVIF, 5), (Format.JP2, 5), (Format.GIF, 14), (Format.TIF, 0)],
)
def test_what_is_written_looks_like_what_was_to_be(target: Format, bound: float) -> None:
    """Mean absolute difference in levels."""
    image = picture(200, 150, noise=0)
    result = opened(encoded(image, Quality.DEFAULT, target, SETTINGS)).convert("RGB")
    assert mean_error(array(result), array(image)) <= bound


def test_bitonal_tiff_has_one_bit() -> None:
    """As the specification's word says."""
    assert opened(encoded(sample("RGB"), Quality.BITONAL, Format.TIF, SETTINGS)).mode == "1"

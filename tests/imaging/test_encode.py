"""Qualities and formats."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
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


SUBSAMPLING = {0: 0x11, 1: 0x21, 2: 0x22}


@pytest.mark.parametrize(("subsampling", "factors"), SUBSAMPLING.items())
@pytest.mark.parametrize(("progressive", "frame"), [(False, b"\xff\xc0"), (True, b"\xff\xc2")])
@pytest.mark.parametrize("target", [Format.JPG, Format.PDF])
def test_jpeg_options(
    target: Format, progressive: bool, frame: bytes, subsampling: int, factors: int
) -> None:
    """In a PDF as well: its frame header states them."""
    settings = RenderSettings(jpeg_progressive=progressive, jpeg_subsampling=subsampling)
    data = encoded(sample("RGB"), Quality.DEFAULT, target, settings)
    assert data[data.index(frame) + 11] == factors


@pytest.mark.parametrize("target", [Format.JPG, Format.PDF, Format.WEBP, Format.AVIF, Format.JP2])
def test_a_higher_quality_is_larger_and_nearer(target: Format) -> None:
    """Of every format that loses something."""
    image = picture(160, 120)
    name = "jpeg_quality" if target is Format.PDF else f"{KEYS.get(target, target)}_quality"
    every: list[dict[str, Any]] = [{name: quality} for quality in (20, 60, 95)]
    files = [encoded(image, Quality.DEFAULT, target, replace(SETTINGS, **change)) for change in every]
    assert [len(data) for data in files] == sorted({len(data) for data in files})
    if target is not Format.PDF:
        errors = [mean_error(array(opened(data).convert("RGB")), array(image)) for data in files]
        assert errors == sorted(errors, reverse=True)


KEYS = {Format.JPG: "jpeg", Format.WEBP: "webp", Format.AVIF: "avif", Format.JP2: "jp2"}


@pytest.mark.parametrize("target", [Format.WEBP, Format.AVIF])
def test_effort_makes_other_files_of_the_same_quality(target: Format) -> None:
    """Every effort that may be configured; the greatest makes a smaller one than the least."""
    image = picture(96, 96, noise=0, rings=9)
    every: list[dict[str, Any]] = [{f"{target}_effort": effort} for effort in range(7)]
    files = [encoded(image, Quality.DEFAULT, target, replace(SETTINGS, **change)) for change in every]
    assert len(files[6]) < len(files[0])
    for data in files:
        assert mean_error(array(opened(data).convert("RGB")), array(image)) < 6


def test_png_compression() -> None:
    """The pixels stay."""
    image = picture(200, 150, noise=0)
    files = [
        encoded(image, Quality.DEFAULT, Format.PNG, RenderSettings(png_compression=level))
        for level in (9, 3, 0)
    ]
    assert [len(data) for data in files] == sorted({len(data) for data in files})
    assert all((array(opened(data)) == array(image)).all() for data in files)


@pytest.mark.parametrize("mode", MODES)
def test_jpeg_2000_can_be_lossless(mode: str) -> None:
    """At 100; just below, it is not."""
    image = sample(mode)
    whole = opened(encoded(image, Quality.DEFAULT, Format.JP2, RenderSettings(jp2_quality=100)))
    assert (array(whole.convert(mode)) == array(image)).all()
    lossy = opened(encoded(image, Quality.DEFAULT, Format.JP2, RenderSettings(jp2_quality=99)))
    assert (array(lossy.convert(mode)) != array(image)).any()


@pytest.mark.parametrize("quality", [45, 65, 85])
def test_jpeg_2000_has_the_same_error_whatever_the_image(quality: int) -> None:
    """A smooth image and a grainy one come within 3 decibels of what is configured."""
    for image in (picture(128, 128, noise=0, rings=4), picture(128, 128, noise=30)):
        data = encoded(image, Quality.DEFAULT, Format.JP2, RenderSettings(jp2_quality=quality))
        mean_square = ((array(opened(data)) - array(image)) ** 2).mean()
        assert abs(10 * np.log10(255**2 / mean_square) - (20 + quality / 4)) < 3


@pytest.mark.parametrize(
    ("setting", "name"), [("deflate", "tiff_adobe_deflate"), ("lzw", "tiff_lzw"), ("none", "raw")]
)
@pytest.mark.parametrize("mode", MODES)
def test_tiff_compressions_lose_nothing(setting: str, name: str, mode: str) -> None:
    """And say their name."""
    image = sample(mode)
    result = opened(encoded(image, Quality.DEFAULT, Format.TIF, RenderSettings(tif_compression=setting)))
    assert result.info["compression"] == name
    assert result.mode == mode
    assert (array(result) == array(image)).all()


def test_a_tiff_is_compressed_by_differences() -> None:
    """Which is what makes a photograph smaller than its pixels."""
    image = picture(200, 150, noise=2)
    pixels = encoded(image, Quality.DEFAULT, Format.TIF, RenderSettings(tif_compression="none"))
    for setting in ("deflate", "lzw"):
        settings = RenderSettings(tif_compression=setting)
        assert len(encoded(image, Quality.DEFAULT, Format.TIF, settings)) < len(pixels) * 0.8


@pytest.mark.parametrize("target", available_formats())
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_what_a_decoder_left_beside_the_pixels_is_not_written(target: Format, mode: str) -> None:
    """No profile above all: every file is sRGB and says nothing else."""
    image = sample(mode)
    bare = encoded(image, Quality.DEFAULT, target, SETTINGS)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    left: dict[Any, Any] = {
        "icc_profile": profile,
        "exif": b"Exif\0\0secret",
        "xmp": b"secret",
        "comment": b"secret",
    }
    image.info = {**left, "dpi": (300, 300), "compression": "jpeg", "gamma": 1.0, "transparency": 0}
    assert encoded(image, Quality.DEFAULT, target, SETTINGS) == bare
    assert image.info["comment"] == b"secret"  # the caller's image is as it was
    if target is not Format.PDF:
        assert "icc_profile" not in opened(bare).info
    assert b"acsp" not in bare  # what every ICC profile has in its header


@pytest.mark.parametrize("mode", MODES)
def test_an_avif_says_that_it_is_srgb(mode: str) -> None:
    """As code points (ITU-T H.273): BT.709 primaries, sRGB transfer, BT.601 matrix, full range."""
    data = encoded(sample(mode), Quality.DEFAULT, Format.AVIF, SETTINGS)
    assert b"colrnclx" + bytes([0, 1, 0, 13, 0, 6, 0x80]) in data


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

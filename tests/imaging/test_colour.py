"""Every mode and profile to sRGB."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from iiif_server.imaging.colour import is_srgb, to_srgb
from tests.imaging.helpers import PIXELS_ONLY, Bench, array, jpeg, mean_error, picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def by_lcms(image: Image.Image, profile: bytes) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted


@pytest.fixture
def wide(shared_images: Path) -> bytes:
    """Display P3."""
    with Image.open(shared_images / "jpeg-icc-p3.jpg") as image:
        return bytes(image.info["icc_profile"])


@pytest.mark.parametrize("name", ["jpeg-icc-p3.jpg", "jpeg-cmyk-icc.jpg"])
def test_profiles_are_applied(shared_images: Path, bench: Bench, name: str) -> None:
    """As LittleCMS does relative to white, with black points matched; whole or in tiles."""
    with Image.open(shared_images / name) as image:
        expected = array(by_lcms(image.copy(), image.info["icc_profile"]))
        naive = array(image.convert("RGB"))
    whole = bench.pixels(shared_images / name)
    assert (whole == expected).all()
    assert np.abs(whole - naive).max() > 10
    height, width, _ = whole.shape
    for y in range(0, height, 128):
        for x in range(0, width, 128):
            tile = bench.pixels(shared_images / name, f"{x},{y},128,128/max/0/default.png")
            assert (tile == expected[y : y + 128, x : x + 128]).all()


def test_cmyk_without_a_profile_looks_right(shared_images: Path, bench: Bench) -> None:
    """Not inverted: near to the same picture with its profile."""
    without = bench.pixels(shared_images / "jpeg-cmyk-noicc.jpg")
    with_profile = bench.pixels(shared_images / "jpeg-cmyk-icc.jpg")
    assert mean_error(without, with_profile) < 45
    assert mean_error(255 - without, with_profile) > 70


def test_srgb_is_recognised_by_what_it_does(wide: bytes) -> None:
    """Whatever its name is."""
    assert is_srgb(None, "RGB")
    assert is_srgb(SRGB, "RGB")
    assert not is_srgb(wide, "RGB")


@pytest.mark.parametrize("profile", [b"", b"garbage", SRGB[:200], bytes(len(SRGB))])
def test_a_broken_profile_is_none(profile: bytes) -> None:
    """The pixels stay."""
    image = picture(20, 10)
    assert (array(to_srgb(image.copy(), profile)) == array(image)).all()


def test_a_profile_of_another_space_is_none(wide: bytes) -> None:
    """Such as one for RGB in a gray image."""
    image = picture(20, 10, bands=1)
    assert (array(to_srgb(image.copy(), wide)) == array(image)).all()
    assert is_srgb(wide, "L")


def test_alpha_stays_beside_a_profile(wide: bytes) -> None:
    """Colours are converted, alpha is not."""
    image = picture(20, 10, bands=4)
    converted = array(to_srgb(image.copy(), wide))
    assert (converted[..., 3] == array(image)[..., 3]).all()
    assert (converted[..., :3] == array(by_lcms(image.convert("RGB"), wide))).all()


def test_a_broken_profile_in_a_file(tmp_path: Path, bench: Bench) -> None:
    """Costs nothing, in any format."""
    for name in ("a.jpg", "a.png", "a.tif", "a.webp"):
        picture(48, 32).save(tmp_path / name, icc_profile=b"garbage" * 30)
        assert bench.probe(tmp_path / name).size == (48, 32)
        bench.render(tmp_path / name, "full/20,/0/default.jpg")
    assert bench.render(tmp_path / "a.jpg")[0] == "copy"


def ramp(low: float, high: float, count: int = 256) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.tile(np.linspace(low, high, count), (4, 1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_keeps_its_high_byte(tmp_path: Path, bench: Bench, suffix: str) -> None:
    """Neither clipped nor stretched."""
    values = ramp(0, 65535).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert (bench.pixels(tmp_path / f"a.{suffix}") == values >> 8).all()


def test_big_endian_sixteen_bits() -> None:
    """Byte order is minded."""
    values = ramp(0, 65535).astype(">u2")
    image = Image.frombytes("I;16B", (256, 4), values.tobytes())
    assert (array(to_srgb(image, None)) == values >> 8).all()


def test_signed_and_wide_whole_numbers_are_stretched(tmp_path: Path, bench: Bench) -> None:
    """Their range can't be known; the decoder that stands in for tifffile agrees with it."""
    values = ramp(-500, 70000, 512).astype(np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    expected = (values + 500) / 70500 * 255
    assert np.abs(bench.pixels(tmp_path / "a.tif") - expected).max() <= 0.51
    assert np.abs(array(to_srgb(Image.fromarray(values), None)) - expected).max() <= 0.51


def test_floating_point_is_stretched_over_the_whole_image(tmp_path: Path, bench: Bench) -> None:
    """From the least to the greatest finite value, the same in every tile; NaN is black."""
    values = ramp(-3, 12, 512).astype(np.float32)
    values[0, 100], values[1, 100], values[2, 100] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    pixels = bench.pixels(tmp_path / "a.tif")
    assert pixels[:3, 100].tolist() == [0, 255, 0]
    expected = (values[3] + 3) / 15 * 255
    assert np.abs(pixels[3] - expected).max() <= 0.51
    assert (bench.pixels(tmp_path / "a.tif", "256,0,200,4/max/0/default.png") == pixels[:, 256:456]).all()


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_floating_point_without_contrast_is_black(value: float) -> None:
    """There is nothing to stretch."""
    image = Image.fromarray(np.full((4, 4), value, np.float32))
    assert (array(to_srgb(image, None)) == 0).all()


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        (lambda image: image.convert("1"), "L"),
        (lambda image: image.convert("L"), "L"),
        (lambda image: image.convert("LA"), "LA"),
        (lambda image: image.convert("P"), "RGB"),
        (lambda image: image.convert("RGBA").quantize(64), "RGBA"),
        (lambda image: image.convert("RGBA").convert("RGBa"), "RGBA"),
        (lambda image: image.convert("LA").convert("La"), "LA"),
        (lambda image: image.convert("CMYK"), "RGB"),
        (lambda image: image.convert("YCbCr"), "RGB"),
        (lambda image: image.convert("HSV"), "RGB"),
        (lambda image: image.convert("RGBX"), "RGB"),
    ],
)
def test_every_mode_becomes_one_of_four(make: Callable[[Image.Image], Image.Image], mode: str) -> None:
    """And looks the same."""
    image = picture(32, 24, noise=0, rings=4)
    result = to_srgb(make(image), None)
    assert result.mode == mode
    assert result.info == {}
    if mode.startswith("RGB"):
        assert mean_error(array(result.convert("RGB")), array(image)) < 25


def test_lab_is_converted(tmp_path: Path, bench: Bench) -> None:
    """By LittleCMS as well."""
    colours = [(220, 30, 40), (20, 200, 60), (30, 60, 210), (128, 128, 128), (250, 250, 250)]
    image = Image.new("RGB", (50, 10))
    for number, colour in enumerate(colours):
        image.paste(colour, (10 * number, 0, 10 * number + 10, 10))
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    assert np.abs(bench.pixels(tmp_path / "a.tif") - array(image)).max() <= 6


def test_transparent_palettes_and_colours(tmp_path: Path, bench: Bench) -> None:
    """A palette's transparency, and one colour declared transparent, become alpha."""
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "p.png", transparency=0)
    image.save(tmp_path / "p.gif", transparency=0)
    keyed = Image.new("RGB", (8, 8), (9, 9, 9))
    keyed.putpixel((0, 0), (1, 2, 3))
    keyed.save(tmp_path / "k.png", transparency=(1, 2, 3))
    for name in ("p.png", "p.gif", "k.png"):
        pixels = bench.pixels(tmp_path / name)
        assert pixels[0, 0, 3] == 0
        assert (pixels[1:, 1:, 3] == 255).all()
    assert bench.pixels(tmp_path / "p.png")[4, 4].tolist() == [0, 255, 0, 255]


def test_gray_with_a_profile_stays_gray(tmp_path: Path, bench: Bench) -> None:
    """Converted by its curve, in one channel; never copied as it is."""
    profile = gray_profile(gamma=1.0)
    path = tmp_path / "a.jpg"
    image = picture(64, 64, bands=1, noise=0, rings=4)
    path.write_bytes(jpeg(image, icc_profile=profile))
    assert not is_srgb(profile, "L")
    lane, data = bench.render(path, "full/max/0/default.png")
    assert lane == "pixels"
    linear = array(Image.open(path)) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert array(data).shape == (64, 64)
    assert np.abs(array(data) - expected).max() <= 2.5
    assert bench.render(path, settings=PIXELS_ONLY)[0] == "pixels"


def gray_profile(gamma: float) -> bytes:
    """The smallest gray profile there is: a white point and a curve."""
    white = b"XYZ \0\0\0\0" + b"".join(round(v * 65536).to_bytes(4) for v in (0.9642, 1.0, 0.8249))
    curve = b"curv\0\0\0\0\0\0\0\1" + round(gamma * 256).to_bytes(2) + b"\0\0"
    start = 128 + 4 + 2 * 12
    tags = (2).to_bytes(4)
    tags += b"wtpt" + start.to_bytes(4) + len(white).to_bytes(4)
    tags += b"kTRC" + (start + len(white)).to_bytes(4) + (14).to_bytes(4)
    size = start + len(white) + len(curve)
    head = size.to_bytes(4) + b"\0\0\0\0\x02\x40\0\0mntrGRAYXYZ " + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + white[8:]
    return head.ljust(128, b"\0") + tags + white + curve

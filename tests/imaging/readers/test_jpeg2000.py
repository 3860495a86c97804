"""JPEG 2000: every depth, number of channels and colour space gives the pixels that were put in."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from iiif_server.errors import UnreadableSource
from iiif_server.imaging.readers.jp2 import Channel, Colours, LabSpace, read_channels, read_colours
from tests.imaging.helpers import Bench, array, mean_error, picture
from tests.imaging.test_colour import by_lcms
from tests.matrix.arithmetic import D50, D65, srgb_of_lab
from tests.support.jp2 import boxed, colour, image_header

RAMP = np.tile(np.linspace(0, 65_535, 256).astype(np.uint16), (24, 1))


def encode(samples: Any, **options: Any) -> bytes:
    """Without loss."""
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, **options))


@pytest.mark.parametrize("container", ["JP2", "J2K"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 15, 16])
def test_every_depth(tmp_path: Path, bench: Bench, bits: int, channels: int, container: str) -> None:
    """Black is black and white is white: of up to 8 bits all values count, of more the highest 8."""
    values = (RAMP >> (16 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    stored: Any = values if channels == 1 else np.dstack([values] * channels)
    path = tmp_path / "a"
    path.write_bytes(encode(stored, bitspersample=bits, codecformat=container))
    expected = stored.astype(np.int64) * 255 // (2**bits - 1) if bits < 8 else stored >> (bits - 8)
    assert bench.probe(path).has_color is (channels > 2)
    assert (bench.pixels(path) == expected).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_signed_samples(tmp_path: Path, bench: Bench, channels: int) -> None:
    """Their smallest value is black."""
    stored = (RAMP.astype(np.int32) - 32_768).astype(np.int16)
    stored = stored if channels == 1 else np.dstack([stored] * channels)
    (tmp_path / "a").write_bytes(encode(stored, codecformat="JP2"))
    assert (bench.pixels(tmp_path / "a") == (stored.astype(np.int64) + 32_768) >> 8).all()


def test_a_profile_is_applied_at_any_depth(tmp_path: Path, bench: Bench, shared_images: Path) -> None:
    """Also where Pillow decodes, which says nothing of it."""
    with Image.open(shared_images / "jpeg-icc-p3.jpg") as image:
        profile = image.info["icc_profile"]
    rgb = np.asarray(picture(64, 48, noise=0))
    expected = array(by_lcms(Image.fromarray(rgb), profile))
    for bits in (8, 16):
        stored = rgb if bits == 8 else rgb.astype(np.uint16) << 8
        codestream = encode(stored, codecformat="J2K")
        file = boxed(codestream, image_header(64, 48, 3, bits), colour(profile, method=2))
        (tmp_path / f"{bits}").write_bytes(file)
        assert (bench.pixels(tmp_path / f"{bits}") == expected).all()
        assert mean_error(expected, rgb.astype(np.int64)) > 1


def lab_file(lab: Any, parameters: bytes = b"", *, last: bool = False) -> bytes:
    """CIELab at 8 bits."""
    header = image_header(lab.shape[1], lab.shape[0], 3, 8)
    codestream = encode(lab, codecformat="J2K", mct=False)
    return boxed(codestream, header, colour(words(14) + parameters), last=last)


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4) for value in values)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("parameters", "ranges", "white"),
    [
        (b"", (100, 0, 170, 128, 200, 96), D50),
        (words(100, 0, 0, 128, 255, 128) + b"\0D50", (100, 0, 170, 128, 200, 96), D50),
        (words(100, 0, 255, 128, 255, 128) + b"\0D50", (100, 0, 255, 128, 255, 128), D50),
        (words(100, 0, 255, 128, 255, 128) + b"\0D65", (100, 0, 255, 128, 255, 128), D65),
    ],
)
def test_lab(
    tmp_path: Path, bench: Bench, parameters: bytes, ranges: tuple[int, ...], white: Any, *, last: bool
) -> None:
    """By the ranges and the illuminant stated, or else the standard's (ISO/IEC 15444-2, M.11.7.4.1)."""
    y, x = np.mgrid[0:40, 0:60]
    lab = np.stack((60 + 3 * y, 108 + x // 2, 118 + y // 2), axis=-1).astype(np.uint8)
    path = tmp_path / "a.jp2"
    path.write_bytes(lab_file(lab, parameters, last=last))
    with path.open("rb") as file:
        assert read_colours(file) == Colours(LabSpace(ranges, is_d65=white is D65))
    values = (lab.astype(np.float64) - ranges[1::2]) * np.array(ranges[::2]) / 255
    expected = srgb_of_lab(values, white)
    other = srgb_of_lab(values, D50 if white is D65 else D65)
    found = mean_error(bench.pixels(path), expected.astype(np.int64))
    assert found < 0.5
    assert found < mean_error(bench.pixels(path), other.astype(np.int64))


def test_channels_of_different_sizes(shared_images: Path, bench: Bench) -> None:
    """Are found, and put together by a codec that can."""
    with (shared_images / "jp2-sycc420.jp2").open("rb") as file:
        assert read_channels(file) == [Channel(8, (1, 1)), Channel(8, (2, 2)), Channel(8, (2, 2))]
    first = bench.pixels(shared_images / "jp2-sycc420.jp2")[0, 0]
    assert np.abs(first - [241, 9, 0]).max() <= 1  # Y 77, Cb 83, Cr 245


@pytest.mark.parametrize("cut", [0, 3, 20, 45, 50])
def test_channels_of_what_is_no_jpeg2000(cut: int) -> None:
    """There are none, or those that are there."""
    data = encode(np.zeros((8, 8, 3), np.uint8), codecformat="J2K")
    assert read_channels(BytesIO(data[:cut])) == [Channel(8, (1, 1))] * (max(0, cut - 42) // 3)
    assert read_channels(BytesIO(b"\0" * 100)) == []


def test_a_header_that_promises_other_channels(tmp_path: Path, bench: Bench) -> None:
    """Is damage."""
    data = bytearray(encode(np.dstack([RAMP] * 3), codecformat="J2K"))
    data[42] = 7  # the first channel has 8 bits, the others 16
    (tmp_path / "a.j2k").write_bytes(data)
    with pytest.raises(UnreadableSource):
        bench.pixels(tmp_path / "a.j2k")


def test_sycc_of_full_size(tmp_path: Path, bench: Bench) -> None:
    """Is left to Pillow."""
    image = picture(64, 48, noise=0)
    stored = np.asarray(image.convert("YCbCr"))
    (tmp_path / "a.jp2").write_bytes(encode(stored, codecformat="JP2", colorspace="SYCC", mct=False))
    assert mean_error(bench.pixels(tmp_path / "a.jp2"), array(image)) < 1.5

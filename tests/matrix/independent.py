"""Another way from a file to its picture: libvips, imagecodecs and arithmetic; no Pillow, nothing of ours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pyvips
from numpy.typing import NDArray

from tests.matrix.arithmetic import D65, Pixels, rounded, srgb_of_lab

# Files that libvips keeps open for the next time would look like leaks.
pyvips.cache_set_max(0)

_TYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
"""What sets a stored orientation upright (EXIF 2.3 section 4.6.4)."""


def by_libvips(path: Path, page: int = 0) -> Pixels:
    """Everything that libvips decodes; of 16 bits, the high byte after the conversion of colours."""
    options = {"page": page} if page else {}
    image = pyvips.Image.new_from_file(str(path), **options)
    return _turned(_in_srgb(image), image)


def decoded(data: bytes) -> Pixels:
    """What libvips sees in a file, whatever its metadata says."""
    return _array(pyvips.Image.new_from_buffer(data, ""))


def by_libvips_shrunk(path: Path, factor: int) -> Pixels:
    """A JPEG at half, a quarter or an eighth of its size, as libjpeg decodes it through libvips."""
    image = pyvips.Image.jpegload(str(path), shrink=factor)
    return _turned(_in_srgb(image), image)


def by_libtiff(path: Path, page: int) -> Pixels:
    """Planar tiles of 8-bit RGB, which libvips leaves out."""
    planes = np.asarray(imagecodecs.tiff_decode(path.read_bytes(), index=page))
    return np.moveaxis(planes, 0, -1) if len(planes) == 3 else planes


def by_imagecodecs_jpeg(path: Path) -> Pixels:
    """A JPEG so damaged that libvips gives up on it."""
    return np.asarray(imagecodecs.jpeg8_decode(path.read_bytes()))


def by_libheif(path: Path) -> Pixels:
    """HEIC as libheif decodes it; that this is right, FFmpeg has testified: see ``expected``."""
    picture = pillow_heif.open_heif(path, convert_hdr_to_8bit=True)
    return _in_srgb(_from_array(np.asarray(picture), picture.info.get("icc_profile")))


def by_openjpeg(path: Path) -> Pixels:
    """JPEG 2000 without any conversion of colours: gray and RGB, without a profile."""
    return with_channels(np.asarray(imagecodecs.jpeg2k_decode(path.read_bytes())))


def by_openjpeg_lab(path: Path) -> Pixels:
    """JPEG 2000 in CIELab under D65, with the ranges that the one file of this kind states."""
    samples = by_openjpeg(path).astype(np.float64)
    return srgb_of_lab((samples - [0, 128, 128]) * [100 / 255, 1, 1], D65)


def from_old_jpeg(path: Path) -> Pixels:
    """The JPEG file that lies whole within an old-style JPEG TIFF."""
    data = path.read_bytes()
    return _in_srgb(pyvips.Image.new_from_buffer(data[data.index(b"\xff\xd8\xff") :], ""))


def from_floats(path: Path) -> Pixels:
    """A plain TIFF of 32-bit floating point in strips; the smallest value is black, the largest white."""
    data = path.read_bytes()
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    tags = {}
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from(f"{order}H", data, start)[0], 12):
        code, kind, count = struct.unpack_from(f"{order}HHI", data, at)
        values = f"{order}{count}{ {3: 'H', 4: 'I'}.get(kind, 'x') }"
        size = struct.calcsize(values)
        place = at + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
        tags[code] = struct.unpack_from(values, data, place)
    strips = b"".join(data[at : at + size] for at, size in zip(tags[273], tags[279], strict=True))
    samples = np.frombuffer(strips, f"{order}f4").reshape(*tags[257], *tags[256], 1).astype(np.float64)
    return rounded((samples - samples.min()) / (samples.max() - samples.min()) * 255)


def _turned(stored: Pixels, image: pyvips.Image) -> Pixels:
    turn = _TURNS.get(image.get("orientation")) if "orientation" in image.get_fields() else None
    return turn(stored) if turn is not None else stored


def _in_srgb(image: pyvips.Image) -> Pixels:
    """A decoded image to sRGB: relative to white, black points matched."""
    bits = 16 if image.format == "ushort" else 8
    if image.interpretation == "labs":
        return srgb_of_lab(_array(image.colourspace("lab")).astype(np.float64))
    if "icc-profile-data" in image.get_fields():
        bands = image.bands
        image = image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=bits
        )
        if bands < 3:  # a neutral of the profile is a neutral of sRGB
            image = image[1] if bands == 1 else image[1].bandjoin(image[3])
    elif image.interpretation == "cmyk":
        inks = _array(image) / 255
        return rounded(255 * (1 - inks[..., :3]) * (1 - inks[..., 3:]))
    pixels = _array(image)
    octets: Pixels = (pixels >> 8).astype(np.uint8) if bits == 16 else pixels
    return octets


def _from_array(pixels: Pixels, profile: bytes | None) -> pyvips.Image:
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _array(image: pyvips.Image) -> NDArray[Any]:
    shape = (image.height, image.width, image.bands)
    return np.frombuffer(image.write_to_memory(), _TYPES[image.format]).reshape(shape)


def with_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Gray has a channel, too."""
    return pixels if pixels.ndim == 3 else pixels[..., None]

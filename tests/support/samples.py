"""A small file of each format for each thing that it can hold: alpha, pages, a profile, ..."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.imaging.helpers import exif, picture
from tests.support.jp2 import boxed, colour, image_header

WIDTH, HEIGHT = 96, 64
PICTURE: NDArray[np.int64] = np.asarray(picture(WIDTH, HEIGHT, noise=0, rings=6)).astype(np.int64)
ALPHA: NDArray[np.int64] = np.tile(np.linspace(0, 255, WIDTH).astype(np.int64), (HEIGHT, 1))
RAMP: NDArray[np.uint16] = np.tile(np.linspace(0, 65_535, WIDTH).astype(np.uint16), (HEIGHT, 1))

_IMAGE = Image.fromarray(PICTURE.astype(np.uint8))
_NEGATIVE = Image.fromarray((255 - PICTURE).astype(np.uint8))
_CLEAR = Image.fromarray(np.dstack((PICTURE, ALPHA)).astype(np.uint8))
_STORED = _IMAGE.transpose(Image.Transpose.ROTATE_90)
_ORIENTATION_TAG = (274, "H", 1, 6, True)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = _SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
"""A profile whose red is sRGB's green, and the other way round."""

Make = Callable[[], bytes]


def _pillow(name: str, image: Image.Image = _IMAGE, **options: Any) -> Make:
    def make() -> bytes:
        out = BytesIO()
        image.save(out, name, **options)
        return out.getvalue()

    return make


def _tiff(*pages: tuple[Any, dict[str, Any]]) -> Make:
    def make() -> bytes:
        out = BytesIO()
        with tifffile.TiffWriter(out) as writer:
            for pixels, options in pages:
                writer.write(pixels, metadata=None, **{"photometric": "rgb", **options})
        return out.getvalue()

    return make


def _jp2_with_profile() -> bytes:
    codestream = bytes(imagecodecs.jpeg2k_encode(PICTURE.astype(np.uint8), level=0, codecformat="J2K"))
    return boxed(codestream, image_header(WIDTH, HEIGHT, 3, 8), colour(SWAPPED, method=2))


def _heif(*images: Image.Image, **options: Any) -> Make:
    def make() -> bytes:
        out = BytesIO()
        file = pillow_heif.HeifFile()
        for image in images:
            file.add_from_pillow(image)
        file.save(out, quality=95, **options)
        return out.getvalue()

    return make


def _deep_heif() -> bytes:
    out = BytesIO()
    pixels = np.dstack([RAMP] * 3).tobytes()
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), pixels).save(out, quality=95)
    return out.getvalue()


def _bmp_with_alpha() -> bytes:
    """Version 4 of the header tells where alpha is (BITMAPV4HEADER)."""
    pixels = np.asarray(_CLEAR)[::-1].tobytes()  # from bottom to top
    masks = struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += masks + b" niW" + bytes(48)
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels
    )


_PAGED: dict[str, Any] = {"save_all": True, "append_images": [_NEGATIVE]}
_BYTES = PICTURE.astype(np.uint8)
_LEVELS = tuple(
    (_BYTES[::factor, ::factor], {"tile": (16, 16), "subfiletype": int(factor > 1)}) for factor in (1, 2, 4)
)

SAMPLES: Mapping[str, Mapping[str, Make]] = {
    "JPEG": {
        "plain": _pillow("JPEG", quality=95),
        "pages": _pillow("MPO", quality=95, **_PAGED),
        "levels": _pillow("JPEG", quality=95),
        "deep": lambda: bytes(imagecodecs.jpeg_encode(RAMP >> 4, bitspersample=12)),
        "profile": _pillow("JPEG", quality=95, icc_profile=SWAPPED),
        "turned": _pillow("JPEG", _STORED, quality=95, exif=exif(6)),
    },
    "PNG": {
        "plain": _pillow("PNG"),
        "pages": _pillow("PNG", **_PAGED),
        "levels": _pillow("PNG"),
        "alpha": _pillow("PNG", _CLEAR),
        "deep": lambda: bytes(imagecodecs.png_encode(np.dstack([RAMP] * 3))),
        "profile": _pillow("PNG", icc_profile=SWAPPED),
        "turned": _pillow("PNG", _STORED, exif=exif(6)),
    },
    "TIFF": {
        "plain": _tiff((_BYTES, {})),
        "pages": _tiff((_BYTES, {}), (255 - _BYTES, {})),
        "levels": _tiff(*_LEVELS),
        "alpha": _tiff((np.asarray(_CLEAR), {"extrasamples": ["unassalpha"]})),
        "deep": _tiff((np.dstack([RAMP] * 3), {})),
        "profile": _tiff((_BYTES, {"iccprofile": SWAPPED})),
        "turned": _tiff((np.asarray(_STORED), {"extratags": [_ORIENTATION_TAG]})),
    },
    "JPEG 2000": {
        "plain": _pillow("JPEG2000"),
        "levels": _pillow("JPEG2000"),
        "alpha": _pillow("JPEG2000", _CLEAR),
        "deep": lambda: bytes(imagecodecs.jpeg2k_encode(np.dstack([RAMP] * 3), level=0, reversible=True)),
        "profile": _jp2_with_profile,
    },
    "WebP": {
        "plain": _pillow("WEBP", lossless=True),
        "pages": _pillow("WEBP", lossless=True, **_PAGED),
        "levels": _pillow("WEBP", lossless=True),
        "alpha": _pillow("WEBP", _CLEAR, lossless=True),
        "profile": _pillow("WEBP", lossless=True, icc_profile=SWAPPED),
        "turned": _pillow("WEBP", _STORED, lossless=True, exif=exif(6)),
    },
    "GIF": {
        "plain": _pillow("GIF", _IMAGE.quantize(256)),
        "pages": _pillow("GIF", _IMAGE.quantize(256), save_all=True, append_images=[_NEGATIVE.quantize(256)]),
        "levels": _pillow("GIF", _IMAGE.quantize(256)),
        "alpha": _pillow("GIF", _CLEAR),
    },
    "BMP": {
        "plain": _pillow("BMP"),
        "levels": _pillow("BMP"),
        "alpha": _bmp_with_alpha,
    },
    "AVIF": {
        "plain": _pillow("AVIF", quality=95),
        "pages": _pillow("AVIF", quality=95, **_PAGED),
        "levels": _pillow("AVIF", quality=95),
        "alpha": _pillow("AVIF", _CLEAR, quality=95),
        "deep": lambda: bytes(
            imagecodecs.avif_encode(np.dstack([RAMP >> 6] * 3), bitspersample=10, level=95)
        ),
        "profile": _pillow("AVIF", quality=95, icc_profile=SWAPPED),
        "turned": _pillow("AVIF", _STORED, quality=95, exif=exif(6)),
    },
    "HEIC": {
        "plain": _heif(_IMAGE),
        "pages": _heif(_IMAGE, _NEGATIVE),
        "levels": _heif(_IMAGE),
        "alpha": _heif(_CLEAR),
        "deep": _deep_heif,
        "profile": _heif(_IMAGE, icc_profile=SWAPPED),
        "turned": _heif(_STORED, exif=exif(6)),
    },
}
"""By the reader's name and the trait; what is missing does not exist in that format."""

"""Any decoded image to sRGB in one of the modes L, LA, RGB and RGBA. Always whole levels, before scaling."""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from io import BytesIO
from itertools import product
from math import isfinite

from PIL import Image, ImageCms

_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_KEPT_TRANSFORMS = 16
_ALIKE = 2
"""A profile that moves no probed value by more than this many levels is sRGB, whatever its name is."""


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a decoded image to sRGB, as L, LA, RGB or RGBA; nothing of its metadata stays.

    Args:
        image: as decoded, in any of Pillow's modes.
        profile: its embedded ICC profile; a broken or unfitting one counts as none.
    """
    if image.mode == "1":
        profile = None  # black and white are the same in every gray space
    image = _plain(image)
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    if alpha is not None and profile is not None:
        image = image.convert(image.mode[:-1])
    image = _apply(image, profile)
    if image.mode not in {"L", "LA", "RGB", "RGBA"}:
        image = image.convert("RGB")
    if alpha is not None and image.mode in {"L", "RGB"}:
        image.putalpha(alpha)
    image.info = {}
    return image


def is_srgb(profile: bytes | None, mode: str) -> bool:
    """Tell whether an image of this mode with this profile can be shown as sRGB without conversion."""
    return _transform(profile, mode) is None


def conversion_bytes(profile: bytes | None, mode: str) -> int:
    """Bytes for each pixel that its profile costs, beside those of the image, while it is converted to sRGB.

    RGB is converted where it is; other modes make an image of red, green and blue, and alpha is set apart.
    """
    without_alpha = mode.rstrip("Aa")
    if _transform(profile, without_alpha) is None or without_alpha not in {"L", "RGB"}:
        return 0  # of CMYK and CIELab another image is made in any case
    if without_alpha != mode:
        return 8
    return 5 if mode == "L" else 0


def has_color(image: Image.Image) -> bool:
    """Tell from an opened image's mode and palette whether it is more than gray."""
    if image.mode in _GRAY_MODES or image.mode.startswith("I;16"):
        return False
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGB":
        red, green, blue = (bytes(image.palette.palette[band::3]) for band in range(3))
        return not red == green == blue
    return True


def _plain(image: Image.Image) -> Image.Image:
    """The same picture in 8 bits per channel, as L, LA, RGB, RGBA, CMYK or LAB."""
    match image.mode:
        case "L" | "RGB" if "transparency" in image.info:
            return image.convert("LA" if image.mode == "L" else "RGBA")
        case "L" | "LA" | "RGB" | "RGBA" | "CMYK" | "LAB":
            return image
        case "1":
            return image.convert("L")
        case "La" | "RGBa":
            return image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        case "P" | "PA":
            return image.convert("RGBA" if image.has_transparency_data else "RGB")
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            return _high_bytes(image)
        case "I" | "F":
            return _stretched(image.convert("F"))
        case _:
            return image.convert("RGB")


def _high_bytes(image: Image.Image) -> Image.Image:
    """16 bits to 8 by leaving out the low byte (Pillow's own conversion clips at 255)."""
    big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    return Image.frombytes("L", image.size, image.tobytes()[0 if big else 1 :: 2])


def _stretched(image: Image.Image) -> Image.Image:
    """Floating point to 8 bits: the smallest finite value of the whole image is black, the largest white.

    NaN is black. An image of one value is black.
    """
    values = array("f", image.tobytes())
    finite = [value for value in values if isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    if len(finite) < len(values):
        clipped = array("f", (min(max(value, low), high) if value == value else low for value in values))  # noqa: PLR0124
        image = Image.frombytes("F", image.size, clipped.tobytes())
    if high <= low:
        return Image.new("L", image.size, 0)
    scale = 255 / (high - low)
    return image.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def _apply(image: Image.Image, profile: bytes | None) -> Image.Image:
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    if image.mode == "RGB":
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    # A neutral of the profile is a neutral of sRGB, so one channel says it all.
    return converted.getchannel("G") if image.mode == "L" else converted


@lru_cache(maxsize=_KEPT_TRANSFORMS)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, or ``None`` where there is nothing to convert, or nothing that can be."""
    if mode not in _SPACES or (profile is None and mode != "LAB"):
        return None
    try:
        source = ImageCms.ImageCmsProfile(
            ImageCms.createProfile("LAB") if profile is None or mode == "LAB" else BytesIO(profile)
        )
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=_INTENT,
            flags=_FLAGS,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode in {"L", "RGB"} and _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = bytes(range(0, 256, 51))
    samples = (
        bytes(range(256))
        if mode == "L"
        else bytes(value for rgb in product(steps, repeat=3) for value in rgb)
    )
    probe = Image.frombytes(mode, (len(samples) // len(mode), 1), samples)
    converted = ImageCms.applyTransform(probe, transform)
    assert converted is not None
    before = probe.convert("RGB").tobytes()
    return all(abs(a - b) <= _ALIKE for a, b in zip(before, converted.tobytes(), strict=True))

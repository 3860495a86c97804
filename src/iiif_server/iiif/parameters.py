"""The four parameters of an image request: a strict grammar into frozen values.

Implements the syntax of Image API 3.0 sections 4.1 to 4.5 and 4.7. Only ASCII digits and ``.`` make a number,
numbers have a bounded length, and everything else is :class:`~iiif_server.errors.InvalidRequest`; no input
reaches ``int()`` or ``Decimal()`` unchecked. ``str()`` of a value is its syntax again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

from iiif_server.errors import InvalidRequest


class Quality(StrEnum):
    """Image API 3.0 section 4.4."""

    DEFAULT = "default"
    COLOR = "color"
    GRAY = "gray"
    BITONAL = "bitonal"


class Format(StrEnum):
    """The formats that are written where the codecs are installed: those of section 4.5, and AVIF."""

    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"
    TIF = "tif"
    GIF = "gif"
    AVIF = "avif"
    JP2 = "jp2"
    PDF = "pdf"

    @property
    def media_type(self) -> str:
        """The format's media type, as section 4.5 states it."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.JPG: "image/jpeg",
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.TIF: "image/tiff",
    Format.GIF: "image/gif",
    Format.AVIF: "image/avif",
    Format.JP2: "image/jp2",
    Format.PDF: "application/pdf",
}


@dataclass(frozen=True, slots=True)
class FullRegion:
    """``full``."""

    def __str__(self) -> str:
        return "full"


@dataclass(frozen=True, slots=True)
class SquareRegion:
    """``square``: the largest centred square."""

    def __str__(self) -> str:
        return "square"


@dataclass(frozen=True, slots=True)
class PixelRegion:
    """``x,y,w,h`` in pixels of the full image."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


@dataclass(frozen=True, slots=True)
class PercentRegion:
    """``pct:x,y,w,h`` in percent of the full image's sides."""

    x: Decimal
    y: Decimal
    width: Decimal
    height: Decimal

    def __str__(self) -> str:
        return "pct:" + ",".join(map(format_decimal, (self.x, self.y, self.width, self.height)))


Region = FullRegion | SquareRegion | PixelRegion | PercentRegion


@dataclass(frozen=True, slots=True)
class MaxSize:
    """``max`` or ``^max``."""

    upscale: bool = False

    def __str__(self) -> str:
        return _caret(self.upscale) + "max"


@dataclass(frozen=True, slots=True)
class WidthSize:
    """``w,`` or ``^w,``."""

    width: int
    upscale: bool = False

    def __str__(self) -> str:
        return f"{_caret(self.upscale)}{self.width},"


@dataclass(frozen=True, slots=True)
class HeightSize:
    """``,h`` or ``^,h``."""

    height: int
    upscale: bool = False

    def __str__(self) -> str:
        return f"{_caret(self.upscale)},{self.height}"


@dataclass(frozen=True, slots=True)
class PercentSize:
    """``pct:n`` or ``^pct:n``."""

    percent: Decimal
    upscale: bool = False

    def __str__(self) -> str:
        return f"{_caret(self.upscale)}pct:{format_decimal(self.percent)}"


@dataclass(frozen=True, slots=True)
class ExactSize:
    """``w,h`` or ``^w,h``."""

    width: int
    height: int
    upscale: bool = False

    def __str__(self) -> str:
        return f"{_caret(self.upscale)}{self.width},{self.height}"


@dataclass(frozen=True, slots=True)
class ConfinedSize:
    """``!w,h`` or ``^!w,h``."""

    width: int
    height: int
    upscale: bool = False

    def __str__(self) -> str:
        return f"{_caret(self.upscale)}!{self.width},{self.height}"


Size = MaxSize | WidthSize | HeightSize | PercentSize | ExactSize | ConfinedSize


@dataclass(frozen=True, slots=True)
class AtMostWide:
    """``max``, or ``w,`` where that is less: the size of thumbnails and previews, in no request's grammar."""

    width: int
    upscale: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"at most {self.width},"


@dataclass(frozen=True, slots=True)
class Rotation:
    """``n`` or ``!n``: degrees clockwise, after mirroring left to right if asked for."""

    degrees: Decimal
    mirror: bool = False

    def __str__(self) -> str:
        return ("!" if self.mirror else "") + format_decimal(self.degrees)


@dataclass(frozen=True, slots=True)
class ImageParameters:
    """What an image request asks for, before anything is known of the image."""

    region: Region
    size: Size | AtMostWide
    rotation: Rotation
    quality: Quality
    format: Format

    def __str__(self) -> str:
        return f"{self.region}/{self.size}/{self.rotation}/{self.quality}.{self.format}"


# RELIABILITY: bounded length before int(); re.ASCII because \d would take digits of every script.
_INT = r"[0-9]{1,9}"
# 3.0 bounds no decimals: a client writes a binary fraction with as many as it has, which is up to 20.
_NUM = r"(?:[0-9]{1,9}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})"
_PIXEL_REGION = re.compile(rf"({_INT}),({_INT}),({_INT}),({_INT})", re.ASCII)
_PERCENT_REGION = re.compile(rf"pct:({_NUM}),({_NUM}),({_NUM}),({_NUM})", re.ASCII)
_SIZE = re.compile(
    rf"(?P<up>\^?)(?:(?P<max>max)|pct:(?P<pct>{_NUM})|(?P<fit>!)(?P<fw>{_INT}),(?P<fh>{_INT})"
    rf"|(?P<w>{_INT})?,(?P<h>{_INT})?)",
    re.ASCII,
)
_ROTATION = re.compile(rf"(!?)({_NUM})", re.ASCII)


_remembered = lru_cache(maxsize=1024)
"""The same few texts come again and again; what is refused is not remembered."""


@_remembered
def parse_region(text: str) -> Region:
    """Parse a region (section 4.1): ``full``, ``square``, ``x,y,w,h`` or ``pct:x,y,w,h``."""
    if text == "full":
        return FullRegion()
    if text == "square":
        return SquareRegion()
    if match := _PIXEL_REGION.fullmatch(text):
        return PixelRegion(*map(int, match.groups()))
    if match := _PERCENT_REGION.fullmatch(text):
        return PercentRegion(*map(Decimal, match.groups()))
    raise _invalid("region", text, "want full, square, x,y,w,h or pct:x,y,w,h")


@_remembered
def parse_size(text: str) -> Size:
    """Parse a size (section 4.2), every form with and without ``^``."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise _invalid("size", text, "want max, w,  ,h  pct:n  w,h or !w,h, each with ^ in front to upscale")
    part = match.groupdict()
    upscale = bool(part["up"])
    if part["max"]:
        return MaxSize(upscale)
    if part["pct"]:
        return PercentSize(Decimal(part["pct"]), upscale)
    if part["fit"]:
        return ConfinedSize(int(part["fw"]), int(part["fh"]), upscale)
    if part["w"] and part["h"]:
        return ExactSize(int(part["w"]), int(part["h"]), upscale)
    if part["w"]:
        return WidthSize(int(part["w"]), upscale)
    if part["h"]:
        return HeightSize(int(part["h"]), upscale)
    raise _invalid("size", text, "a width or a height is missing")


@_remembered
def parse_rotation(text: str) -> Rotation:
    """Parse a rotation (section 4.3): 0 to 360 degrees, ``!`` in front to mirror."""
    match = _ROTATION.fullmatch(text)
    if match is None or (degrees := Decimal(match[2])) > 360:
        raise _invalid("rotation", text, "want degrees from 0 to 360, with ! in front to mirror")
    return Rotation(degrees, mirror=bool(match[1]))


def parse_quality(text: str) -> Quality:
    """Parse a quality (section 4.4)."""
    try:
        return Quality(text)
    except ValueError:
        raise _invalid("quality", text, f"want one of {', '.join(Quality)}") from None


def parse_format(text: str) -> Format:
    """Parse a format (section 4.5); one that no codec here writes is a 400, as that section says."""
    try:
        return Format(text)
    except ValueError:
        raise _invalid("format", text, f"want one of {', '.join(Format)}") from None


def parse_image_parameters(
    region: str,
    size: str,
    rotation: str,
    quality_format: str,
    *,
    size_parser: Callable[[str], Size] = parse_size,
) -> ImageParameters:
    """Parse the four path segments of an image request.

    Args:
        region: the percent-decoded region segment, and so on.
        size: the size segment.
        rotation: the rotation segment.
        quality_format: the last segment, ``{quality}.{format}``.
        size_parser: reads the size as the version of the API has it.

    Raises:
        InvalidRequest: naming the first segment that does not follow the grammar.
    """
    quality, dot, extension = quality_format.rpartition(".")
    if not dot:
        raise _invalid("quality and format", quality_format, "want {quality}.{format}, e.g. default.jpg")
    return ImageParameters(
        parse_region(region),
        size_parser(size),
        parse_rotation(rotation),
        parse_quality(quality),
        parse_format(extension),
    )


def format_decimal(number: Decimal) -> str:
    """Write a number as section 4.7 recommends: no exponent, no trailing zeros, a leading zero below 1."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _caret(upscale: bool) -> str:
    return "^" if upscale else ""


def _invalid(name: str, value: str, wanted: str) -> InvalidRequest:
    shown = value if len(value) <= 60 else value[:60] + "…"
    return InvalidRequest(f"The {name} {shown!r} is not valid: {wanted}.")

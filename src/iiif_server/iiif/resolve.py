"""Resolve an image request against an image: absolute pixels, and the canonical form.

Pure functions over frozen values (Image API 3.0 sections 4.1 to 4.3 and 4.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, isqrt

from iiif_server.errors import InvalidRequest, UnsupportedFeature
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import Limits, region_levels
from iiif_server.iiif.parameters import (
    AtMostWide,
    ConfinedSize,
    ExactSize,
    Format,
    FullRegion,
    HeightSize,
    ImageParameters,
    MaxSize,
    PercentRegion,
    PercentSize,
    PixelRegion,
    Quality,
    Region,
    Rotation,
    Size,
    SquareRegion,
    WidthSize,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """An image request in absolute pixels: what is to be done, with nothing left to decide.

    Attributes:
        image: the size of the full, upright image.
        region: the part of it that is wanted.
        size: the size to scale that part to, before rotation.
        rotation: degrees clockwise from 0 up to but without 360, mirrored first if so asked.
        quality: ``default`` where ``color`` was asked for: both mean every colour there is.
        format: the format to encode to.
    """

    image: Dimensions
    region: Rectangle
    size: Dimensions
    rotation: Rotation
    quality: Quality
    format: Format

    @property
    def is_full_region(self) -> bool:
        """Tell whether the region is the whole image."""
        return self.region == (0, 0, *self.image)

    @property
    def upscales(self) -> bool:
        """Tell whether the result has more pixels than the region in either direction."""
        return self.size.width > self.region.width or self.size.height > self.region.height


def resolve(parameters: ImageParameters, image: Dimensions, limits: Limits) -> Operation:
    """Turn a request into absolute pixels of this image.

    Args:
        parameters: the request as parsed.
        image: the full, upright image's size in pixels.
        limits: the largest result that may be made.

    Raises:
        InvalidRequest: the region lies outside, or the size is empty, too large, or upscales without ``^``.
        UnsupportedFeature: upscaling was asked for where no limit is configured, so that it is not offered.
    """
    region = resolve_region(parameters.region, image)
    size = resolve_size(parameters.size, region, image, limits)
    rotation = Rotation(parameters.rotation.degrees % 360, parameters.rotation.mirror)
    quality = Quality.DEFAULT if parameters.quality is Quality.COLOR else parameters.quality
    return Operation(image, region, size, rotation, quality, parameters.format)


def canonical(operation: Operation, limits: Limits) -> str:
    """The canonical ``{region}/{size}/{rotation}/{quality}.{format}`` of section 4.8."""
    region = "full" if operation.is_full_region else str(PixelRegion(*operation.region))
    size = _canonical_size(operation, limits)
    return f"{region}/{size}/{operation.rotation}/{operation.quality}.{operation.format}"


def resolve_region(region: Region, image: Dimensions) -> Rectangle:
    """The region in pixels, cropped at the image's edges (section 4.1)."""
    match region:
        case FullRegion():
            return Rectangle(0, 0, *image)
        case SquareRegion():
            side = min(image)
            return Rectangle((image.width - side) // 2, (image.height - side) // 2, side, side)
        case PixelRegion(x, y, width, height):
            left, right = _clip(x, x + width, image.width)
            top, bottom = _clip(y, y + height, image.height)
        case PercentRegion(x, y, width, height):
            left, right = _percent_span(x, width, image.width)
            top, bottom = _percent_span(y, height, image.height)
    return Rectangle(left, top, right - left, bottom - top)


def resolve_size(size: Size | AtMostWide, region: Rectangle, image: Dimensions, limits: Limits) -> Dimensions:
    """The size in pixels to scale the region to (section 4.2)."""
    wanted = _wanted_size(size, region, image, limits)
    if min(wanted) < 1:
        raise InvalidRequest("The size is empty: the result would be less than 1 pixel wide or high.")
    if wanted.width > region.width or wanted.height > region.height:
        if not size.upscale:
            raise InvalidRequest(
                f"The size {wanted.width},{wanted.height} is larger than the region "
                f"{region.width},{region.height}; put ^ in front of the size to upscale."
            )
        if not limits.any:
            raise UnsupportedFeature("This server does not upscale images.")
    if not limits.allow(wanted):
        raise InvalidRequest(
            f"The size {wanted.width},{wanted.height} is above this server's limits; see info.json."
        )
    return wanted


def _wanted_size(size: Size | AtMostWide, region: Rectangle, image: Dimensions, limits: Limits) -> Dimensions:
    match size:
        case MaxSize(upscale):
            return _largest(region.size, limits, upscale=upscale)
        case ExactSize(width, height):
            return Dimensions(width, height)
        case WidthSize(width):
            height = _at_least_one(Fraction(region.height * width, region.width))
            heights = [level.height for level in region_levels(region, image) if level.width == width]
            return Dimensions(width, min(heights, key=lambda side: abs(side - height), default=height))
        case HeightSize(height):
            width = _at_least_one(Fraction(region.width * height, region.height))
            widths = [level.width for level in region_levels(region, image) if level.height == height]
            return Dimensions(min(widths, key=lambda side: abs(side - width), default=width), height)
        case PercentSize(percent, upscale):
            return _percent_size(percent, region.size, upscale=upscale)
        case ConfinedSize(width, height, upscale):
            if not width or not height:
                return Dimensions(0, 0)
            box = Dimensions(width, height)
            return _confine(region.size, box, limits if limits.any else Limits(), upscale=upscale)
        case AtMostWide(width):
            return _at_most_wide(width, region, image, limits)


def _at_most_wide(width: int, region: Rectangle, image: Dimensions, limits: Limits) -> Dimensions:
    largest = _largest(region.size, limits, upscale=False)
    if largest.width <= width:
        return largest
    # As who asks for `w,` gets it: both then share one derivative.
    size = _wanted_size(WidthSize(width), region, image, limits)
    if limits.allow(size):
        return size
    return _confine(region.size, Dimensions(width, region.height), limits, upscale=False)


def _percent_size(percent: Decimal, region: Dimensions, *, upscale: bool) -> Dimensions:
    if percent > 100 and not upscale:
        raise InvalidRequest("The size is more than 100 percent; put ^ in front of it to upscale.")
    width, height = (Fraction(percent) * side / 100 for side in region)
    if max(width, height) < Fraction(1, 2):
        return Dimensions(0, 0)
    return Dimensions(_at_least_one(width), _at_least_one(height))


def _largest(region: Dimensions, limits: Limits, *, upscale: bool) -> Dimensions:
    """What ``max`` and ``^max`` mean for a region of this size."""
    if not upscale or not limits.any:
        return region if limits.allow(region) else _confine(region, region, limits, upscale=False)
    bound = limits.max_area if limits.max_area is not None else limits.max_width
    assert bound is not None
    return _confine(region, Dimensions(bound, bound), limits, upscale=True)


def _confine(region: Dimensions, box: Dimensions, limits: Limits, *, upscale: bool) -> Dimensions:
    """The largest size of the region's shape within a box and the limits."""
    if not upscale:
        box = Dimensions(min(box.width, region.width), min(box.height, region.height))
    max_height = limits.max_height if limits.max_height is not None else limits.max_width
    box = Dimensions(
        min(box.width, limits.max_width if limits.max_width is not None else box.width),
        min(box.height, max_height if max_height is not None else box.height),
    )
    fitted = _fit(region, box)
    if limits.max_area is None or fitted.width * fitted.height <= limits.max_area:
        return fitted
    # Rounding the other side up may step over the area by less than one row or column: shrink until it fits.
    width = isqrt(limits.max_area * region.width // region.height)
    while width > 1:
        size = _fit(region, Dimensions(width, box.height))
        if size.width * size.height <= limits.max_area:
            return size
        width -= 1
    return Dimensions(1, max(1, min(box.height, limits.max_area)))


def _fit(region: Dimensions, box: Dimensions) -> Dimensions:
    if box.width * region.height <= box.height * region.width:
        return Dimensions(box.width, _at_least_one(Fraction(region.height * box.width, region.width)))
    return Dimensions(_at_least_one(Fraction(region.width * box.height, region.height)), box.height)


def _canonical_size(operation: Operation, limits: Limits) -> str:
    region = operation.region.size
    if operation.size == _largest(region, limits, upscale=False):
        return str(MaxSize())
    if operation.upscales and operation.size == _largest(region, limits, upscale=True):
        return str(MaxSize(upscale=True))
    return str(ExactSize(*operation.size, upscale=operation.upscales))


def _clip(start: int, end: int, side: int) -> tuple[int, int]:
    if end <= start:
        raise InvalidRequest("The region is empty: its width or height is 0.")
    if start >= side:
        raise InvalidRequest("The region lies outside the image.")
    return start, min(end, side)


def _percent_span(start: Decimal, length: Decimal, side: int) -> tuple[int, int]:
    """Round both ends, so that neighbouring regions meet; a sliver still shows the pixel it lies in."""
    if not length:
        raise InvalidRequest("The region is empty: its width or height is 0.")
    if start >= 100:
        raise InvalidRequest("The region lies outside the image.")
    left = min(_round(Fraction(start) * side / 100), side - 1)
    right = _round((Fraction(start) + Fraction(length)) * side / 100)
    return _clip(left, max(right, left + 1), side)


def _round(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def _at_least_one(value: Fraction) -> int:
    """Round; a side that the other one determines never vanishes (a scroll's thumbnail is 1 px high)."""
    return max(1, _round(value)) if value else 0

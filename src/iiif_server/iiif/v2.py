"""What is particular to version 2.1 of the Image API."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import (
    ConfinedSize,
    ExactSize,
    MaxSize,
    PercentSize,
    PixelRegion,
    Quality,
    Size,
    WidthSize,
    parse_size,
)
from iiif_server.iiif.resolve import Operation, resolve_size
from iiif_server.iiif.version import ApiVersion, Description

CONTEXT = "http://iiif.io/api/image/2/context.json"
PROFILE = "http://iiif.io/api/image/2/level2.json"

_BOUNDLESS = Limits(max_area=10**18)
_FEATURES = ["canonicalLinkHeader", "mirroring", "profileLinkHeader", "regionSquare", "rotationArbitrary"]


def parse_size_2(text: str) -> Size:
    """Parse a size (section 4.2): ``full`` besides ``max``, no ``^``, and upscaling without asking.

    ``full`` is never scaled, so that it is refused above the limits, where ``max`` is scaled down to them.
    """
    if text == "full":
        return PercentSize(Decimal(100))
    if text.startswith("^"):
        raise InvalidRequest("The size begins with ^, which version 2 of the Image API does not have.")
    size = parse_size(text)
    # !w,h fits into a box; every other form may go above the full size (sizeAboveFull).
    return size if isinstance(size, MaxSize | ConfinedSize) else replace(size, upscale=True)


def canonical_2(operation: Operation, _limits: Limits) -> str:
    """The canonical form of section 4.7: ``full``, else ``w,`` if that alone gives the size, else ``w,h``.

    What ``max`` gives below the region's own size is written as ``w,``, too: section 4.2 warns of ``full``.
    """
    region = "full" if operation.is_full_region else str(PixelRegion(*operation.region))
    size, wanted = str(ExactSize(*operation.size)), operation.size
    by_width = WidthSize(wanted.width, upscale=True)
    if wanted == operation.region.size:
        size = "full"
    elif wanted == resolve_size(by_width, operation.region, operation.image, _BOUNDLESS):
        size = f"{wanted.width},"
    return f"{region}/{size}/{operation.rotation}/{operation.quality}.{operation.format}"


def info_document(description: Description) -> dict[str, Any]:
    """Build the image information document of section 5."""
    image = description.image
    details: dict[str, Any] = {
        "formats": ["jpg", "png", *description.extra_formats()],
        "qualities": [
            str(quality) for quality in Quality if quality is not Quality.COLOR or description.has_color
        ],
        "supports": [*_FEATURES, "sizeAboveFull"] if description.limits.any else _FEATURES,
    }
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": description.image_id,
        "protocol": "http://iiif.io/api/image",
        "width": image.width,
        "height": image.height,
    }
    document |= description.sizes_and_tiles()
    document["profile"] = [PROFILE, details | description.maxima()]
    if description.rights:
        document["license"] = description.rights
    if services := description.services():
        document["service"] = services  # section 5.5; the other links are of version 3
    return document


def _media_type(linked_data: bool, _plain: bool) -> str:
    """Plain JSON unless the client asks for JSON-LD (section 5)."""
    return "application/ld+json" if linked_data else "application/json"


API = ApiVersion(
    number=2,
    context=CONTEXT,
    profile=PROFILE,
    parse_size=parse_size_2,
    canonical=canonical_2,
    document=info_document,
    media_type=_media_type,
)

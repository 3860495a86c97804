"""What is particular to version 3.0 of the Image API."""

from __future__ import annotations

from typing import Any

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Quality, parse_size
from iiif_server.iiif.resolve import canonical
from iiif_server.iiif.version import ApiVersion, Description

CONTEXT = "http://iiif.io/api/image/3/context.json"


def info_document(description: Description) -> dict[str, Any]:
    """Build the image information document of section 5."""
    image = description.image
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "id": description.image_id,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": image.width,
        "height": image.height,
    }
    document |= description.maxima() | description.sizes_and_tiles()
    if description.rights:
        document["rights"] = description.rights
    if description.preferred_formats:
        document["preferredFormats"] = [str(item) for item in description.preferred_formats]
    if extra_formats := description.extra_formats():
        document["extraFormats"] = extra_formats
    # Section 4.4: a gray image does not list color, though a request for it is served.
    document["extraQualities"] = [
        str(quality)
        for quality in Quality
        if quality is not Quality.DEFAULT and (quality is not Quality.COLOR or description.has_color)
    ]
    document["extraFeatures"] = _extra_features(description.limits)
    links = {
        "partOf": list(description.links.part_of),
        "seeAlso": list(description.links.see_also),
        "service": description.services(),
    }
    return document | {key: value for key, value in links.items() if value}


def _extra_features(limits: Limits) -> list[str]:
    features = ["canonicalLinkHeader", "mirroring", "profileLinkHeader", "rotationArbitrary"]
    # Section 5.7: upscaling may only be offered together with a limit.
    return [*features, "sizeUpscaling"] if limits.any else features


def _media_type(_linked_data: bool, plain: bool) -> str:
    """JSON-LD unless the client asks for plain JSON (section 5.1)."""
    return "application/json" if plain else f'application/ld+json;profile="{CONTEXT}"'


API = ApiVersion(
    number=3,
    context=CONTEXT,
    profile="http://iiif.io/api/image/3/level2.json",
    parse_size=parse_size,
    canonical=canonical,
    document=info_document,
    media_type=_media_type,
)

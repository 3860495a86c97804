"""What is particular to version 3.0 of the Image API: its info.json and its profile document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits, advertised_sizes, tile_grid
from iiif_server.iiif.parameters import Format, Quality

CONTEXT = "http://iiif.io/api/image/3/context.json"
PROFILE = "http://iiif.io/api/image/3/level2.json"
MEDIA_TYPE = f'application/ld+json;profile="{CONTEXT}"'
"""The Content-Type of an info.json, unless the client asks for plain JSON (section 5.1)."""

_LEVEL_2_FORMATS = (Format.JPG, Format.PNG)


def info_document(
    image_id: str,
    image: Dimensions,
    *,
    limits: Limits,
    min_size: int,
    rights: str | None,
    has_color: bool,
    formats: Collection[Format],
) -> dict[str, Any]:
    """Build the image information document of section 5.

    Args:
        image_id: the image's base URI.
        image: the upright image's size in pixels.
        limits: what is enforced, and therefore stated as ``maxWidth``, ``maxHeight`` and ``maxArea``.
        min_size: the shortest side that ``sizes`` goes down to, in pixels.
        rights: a licence or rights statement URI (section 5.6).
        has_color: whether the image is more than gray; if not, ``color`` is not offered (section 4.4).
        formats: every format that is served.
    """
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "id": image_id,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": image.width,
        "height": image.height,
    }
    maxima = {"maxWidth": limits.max_width, "maxHeight": limits.max_height, "maxArea": limits.max_area}
    document |= {key: value for key, value in maxima.items() if value is not None}
    sizes = advertised_sizes(image, limits, min_size)
    document["sizes"] = [{"width": size.width, "height": size.height} for size in sizes]
    if grid := tile_grid(image, limits):
        tile = {"width": grid.width, "height": grid.height, "scaleFactors": list(grid.scale_factors)}
        document["tiles"] = [tile]
    if rights:
        document["rights"] = rights
    if extra_formats := [str(item) for item in Format if item in formats and item not in _LEVEL_2_FORMATS]:
        document["extraFormats"] = extra_formats
    document["extraQualities"] = [
        str(quality)
        for quality in Quality
        if quality is not Quality.DEFAULT and (quality is not Quality.COLOR or has_color)
    ]
    document["extraFeatures"] = _extra_features(limits)
    return document


def _extra_features(limits: Limits) -> list[str]:
    features = ["canonicalLinkHeader", "mirroring", "profileLinkHeader", "rotationArbitrary"]
    # Section 5.7: upscaling may only be offered together with a limit.
    return [*features, "sizeUpscaling"] if limits.any else features

"""Addresses for the images that everybody needs: ``thumbnail``, ``preview``, and the bare identifier."""

from __future__ import annotations

from decimal import Decimal

from aiohttp import hdrs, web

from iiif_server.iiif.parameters import AtMostWide, Format, FullRegion, ImageParameters, Quality, Rotation
from iiif_server.iiif.uri import parse_identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.services.image_requests import ImageRequest
from iiif_server.web.images import answer_image
from iiif_server.web.info import LD_JSON, redirect_to_info
from iiif_server.web.keys import SITE
from iiif_server.web.negotiation import prefers
from iiif_server.web.urls import raw_segments


async def get_thumbnail(request: web.Request, api: ApiVersion) -> web.StreamResponse:
    """``{id}/thumbnail``: the whole image as JPEG, at most ``thumbnail_width`` wide."""
    segment, _ = raw_segments(request, 2)
    return await _answer(request, api, segment, request.app[SITE].thumbnail_width)


async def get_preview(request: web.Request, api: ApiVersion) -> web.StreamResponse:
    """``{id}/preview``: the whole image as JPEG, at most ``preview_width`` wide."""
    segment, _ = raw_segments(request, 2)
    return await _answer(request, api, segment, request.app[SITE].preview_width)


async def show_or_describe(request: web.Request, api: ApiVersion) -> web.StreamResponse:
    """``{id}``: the redirect of the Image API (section 2), or the preview for who prefers an image."""
    accept = request.headers.get(hdrs.ACCEPT)
    media_type = Format.JPG.media_type
    if all(prefers(accept, media_type, over=described) for described in (LD_JSON, "application/json")):
        (segment,) = raw_segments(request, 1)
        return await _answer(request, api, segment, request.app[SITE].preview_width, negotiated=True)
    response = await redirect_to_info(request, "")
    response.headers[hdrs.VARY] = hdrs.ACCEPT
    return response


async def _answer(
    request: web.Request, api: ApiVersion, segment: str, width: int, *, negotiated: bool = False
) -> web.StreamResponse:
    identifier = parse_identifier(segment, request.app[SITE].profiles.default)
    size = AtMostWide(width)
    parameters = ImageParameters(FullRegion(), size, Rotation(Decimal(0)), Quality.DEFAULT, Format.JPG)
    headers: dict[str, str] = {hdrs.VARY: hdrs.ACCEPT} if negotiated else {}
    return await answer_image(request, ImageRequest(identifier, parameters, api), "", headers)

"""Image requests."""

from __future__ import annotations

from aiohttp import hdrs, web

from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.uri import decode_segment, parse_identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.services.images import ImageRequest, PreparedImage
from iiif_server.web.bodies import send_body
from iiif_server.web.keys import SITE
from iiif_server.web.ranges import ACCEPT_RANGES
from iiif_server.web.responses import Validators, caching_headers, not_modified
from iiif_server.web.urls import raw_segments


async def get_image(request: web.Request, api: ApiVersion, path: str) -> web.StreamResponse:
    """``{id}/{region}/{size}/{rotation}/{quality}.{format}`` (Image API section 4).

    A request that the client's own copy answers, and a HEAD request, cause no image work.
    """
    site = request.app[SITE]
    segment, *parameters = raw_segments(request, 5)
    identifier = parse_identifier(segment, site.profiles.default)
    parsed = parse_image_parameters(*map(decode_segment, parameters), size_parser=api.parse_size)
    image_request = ImageRequest(identifier, parsed, api)
    image_id = site.urls.image_id(request, identifier, path)
    prepared = await site.images.prepare(image_request)
    if not_modified(request, _validators(prepared)):
        return web.Response(status=304, headers=_headers(image_id, prepared))
    media_type = {hdrs.CONTENT_TYPE: prepared.operation.format.media_type}
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=_headers(image_id, prepared) | media_type | ACCEPT_RANGES)
    prepared, derivative = await site.images.derivative(prepared)
    with derivative:
        headers = _headers(image_id, prepared) | media_type
        return await send_body(request, derivative.body, _validators(prepared), headers)


def _validators(prepared: PreparedImage) -> Validators:
    return Validators(prepared.key, prepared.info.modified)


def _headers(image_id: str, prepared: PreparedImage) -> dict[str, str]:
    headers = caching_headers(_validators(prepared), prepared.profile.options.cache_for)
    profile = prepared.request.api.profile
    headers[hdrs.LINK] = f'<{image_id}/{prepared.canonical}>;rel="canonical", <{profile}>;rel="profile"'
    return headers

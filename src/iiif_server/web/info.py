"""info.json, and the redirect to it."""

from __future__ import annotations

import json
from hashlib import blake2b

from aiohttp import hdrs, web

from iiif_server.iiif import v3
from iiif_server.iiif.uri import Identifier, parse_identifier
from iiif_server.web.keys import SITE
from iiif_server.web.negotiation import prefers
from iiif_server.web.responses import Validators, caching_headers, not_modified
from iiif_server.web.urls import raw_segments


async def get_info(request: web.Request) -> web.StreamResponse:
    """``{id}/info.json`` (Image API 3.0 section 5), as JSON-LD unless the client rather wants plain JSON."""
    site = request.app[SITE]
    segment, _ = raw_segments(request, 2)
    identifier = _identifier(request, segment)
    document = await site.documents.info(identifier, site.urls.image_id(request, identifier))
    body = json.dumps(document.content, ensure_ascii=False, separators=(",", ":")).encode()
    accept = request.headers.get(hdrs.ACCEPT)
    plain = prefers(accept, "application/json", over="application/ld+json")
    content_type = "application/json" if plain else v3.MEDIA_TYPE
    etag = blake2b(content_type.encode() + body, digest_size=20).hexdigest()
    validators = Validators(etag, document.info.modified)
    headers = caching_headers(validators, document.cache_for)
    headers[hdrs.VARY] = "Accept"
    headers[hdrs.LINK] = f'<{v3.PROFILE}>;rel="profile"'
    if not_modified(request, validators):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = content_type
    return web.Response(body=body, headers=headers)


async def redirect_to_info(request: web.Request) -> web.StreamResponse:
    """``{id}``: 303 to the image's info.json (Image API 3.0 section 2)."""
    (segment,) = raw_segments(request, 1)
    identifier = _identifier(request, segment)
    site = request.app[SITE]
    await site.documents.infos.get(identifier)
    location = f"{site.urls.image_id(request, identifier)}/info.json"
    return web.Response(status=303, headers={hdrs.LOCATION: location, hdrs.CACHE_CONTROL: "no-cache"})


def _identifier(request: web.Request, segment: str) -> Identifier:
    return parse_identifier(segment, request.app[SITE].profiles.default)

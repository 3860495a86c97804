"""info.json, and the redirect to it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import hdrs, web

from iiif_server.iiif.uri import Identifier, parse_identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.iiif.versions import VERSIONS
from iiif_server.web.codings import choose_coding, coding_headers, encode_again, entity_tag
from iiif_server.web.keys import SITE
from iiif_server.web.negotiation import prefers
from iiif_server.web.ready import READY
from iiif_server.web.responses import Validators, caching_headers, not_modified
from iiif_server.web.urls import API_PATH, raw_segments

LD_JSON = "application/ld+json"
CONTEXT_RELATION = "http://www.w3.org/ns/json-ld#context"


async def get_info(request: web.Request, api: ApiVersion, path: str) -> web.StreamResponse:
    """``{id}/info.json`` (Image API section 5), in the type that the client prefers.

    At the root, a client that names the context of another version in its Accept header gets that version's
    document, whose ``id`` lies under that version's path.
    """
    site = request.app[SITE]
    accept = request.headers.get(hdrs.ACCEPT, "")
    if not path and (other := _version_asked_for(accept, api)) is not api:
        api, path = other, API_PATH.format(number=other.number)
    segment, _ = raw_segments(request, 2)
    identifier = _identifier(request, segment)
    document = await site.documents.info(identifier, site.urls.image_id(request, identifier, path), api)
    content_type = _content_type(accept, api)
    coding = choose_coding(request, len(document.body))
    modified, cache_for = document.info.modified, document.cache_for
    head = _head(api, content_type, coding, document.body, modified, cache_for)
    if not_modified(request, head.validators):
        return web.Response(status=304, headers=head.kept)
    body = encode_again(document.body, coding)
    request[READY] = lambda: body if site.documents.holds(document, identifier) else None
    return web.Response(body=body, headers=head.full)


@functools.lru_cache(maxsize=128)  # there are few browsers
def _content_type(accept: str, api: ApiVersion) -> str:
    return api.media_type(
        prefers(accept, LD_JSON, over="application/json"), prefers(accept, "application/json", over=LD_JSON)
    )


class _Head(NamedTuple):
    """What goes before a document: all of it, and what a 304 repeats."""

    validators: Validators
    full: Mapping[str, str]
    kept: Mapping[str, str]


@functools.lru_cache(maxsize=1024)
def _head(
    api: ApiVersion, content_type: str, coding: str, body: bytes, modified: float | None, cache_for: int
) -> _Head:
    validators = Validators(entity_tag(content_type, coding, body), modified)
    kept = caching_headers(validators, cache_for) | {hdrs.VARY: "Accept, Accept-Encoding"}
    kept[hdrs.LINK] = f'<{api.profile}>;rel="profile"'
    if content_type == "application/json":
        # Plain JSON says by this what its keys mean (JSON-LD 1.1 section 6.1).
        kept[hdrs.LINK] += f', <{api.context}>;rel="{CONTEXT_RELATION}";type="{LD_JSON}"'
    return _Head(validators, kept | {hdrs.CONTENT_TYPE: content_type} | coding_headers(coding), kept)


async def redirect_to_info(request: web.Request, path: str) -> web.StreamResponse:
    """``{id}``: 303 to the image's info.json (Image API section 2)."""
    (segment,) = raw_segments(request, 1)
    identifier = _identifier(request, segment)
    site = request.app[SITE]
    await site.documents.infos.get(identifier)
    location = f"{site.urls.image_id(request, identifier, path)}/info.json"
    return web.Response(status=303, headers={hdrs.LOCATION: location, hdrs.CACHE_CONTROL: "no-cache"})


@functools.lru_cache(maxsize=128)
def _version_asked_for(accept: str, default: ApiVersion) -> ApiVersion:
    """The version whose context the Accept header names, unless it names the default's as well."""
    named = [api for api in VERSIONS.values() if api.context in accept]
    return named[0] if named and default not in named else default


def _identifier(request: web.Request, segment: str) -> Identifier:
    return parse_identifier(segment, request.app[SITE].profiles.default)

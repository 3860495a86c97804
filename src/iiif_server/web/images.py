"""Image requests."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from aiohttp import hdrs, web

from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import Operation
from iiif_server.iiif.uri import decode_segment, parse_identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.services.image_requests import ImageRequest, PreparedImage
from iiif_server.web.bodies import send_body
from iiif_server.web.filenames import content_disposition, describe, safe_filename, stem_of
from iiif_server.web.keys import SITE
from iiif_server.web.ranges import ACCEPT_RANGES
from iiif_server.web.ready import READY
from iiif_server.web.responses import Validators, caching_headers, not_modified

_PLAIN_DOWNLOAD = frozenset({"", "1", "true"})
_NO_DOWNLOAD = frozenset({"0", "false"})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


async def get_image(request: web.Request, api: ApiVersion, path: str) -> web.StreamResponse:
    """``{id}/{region}/{size}/{rotation}/{quality}.{format}`` (Image API section 4)."""
    wanted = read_address(request.rel_url.raw_path, request.app[SITE].profiles.default, api)
    return await answer_image(request, wanted, path)


@functools.lru_cache(maxsize=1024)
def read_address(raw_path: str, default_profile: str | None, api: ApiVersion) -> ImageRequest:
    """What is asked for by an address that ends with an identifier and the parameters.

    Raises:
        InvalidRequest: it is not valid.
    """
    segment, *parameters = raw_path.split("/")[-5:]
    parsed = parse_image_parameters(*map(decode_segment, parameters), size_parser=api.parse_size)
    return ImageRequest(parse_identifier(segment, default_profile), parsed, api)


async def answer_image(
    request: web.Request, wanted: ImageRequest, path: str, more_headers: Mapping[str, str] = _NO_HEADERS
) -> web.StreamResponse:
    """Answer with a derivative, whatever address asked for it.

    A request that the client's own copy answers, and a HEAD request, cause no image work.

    Args:
        request: its conditions, range and query ``download`` count.
        wanted: the derivative.
        path: of the version of the Image API that the canonical address lies under.
        more_headers: what the address itself adds.
    """
    site = request.app[SITE]
    image_id = site.urls.image_id(request, wanted.identifier, path)
    prepared = await site.images.prepare(wanted)
    validators = Validators(prepared.key, prepared.info.modified)
    if not_modified(request, validators):
        return web.Response(status=304, headers={**image_headers(image_id, prepared), **more_headers})
    title = await _title(request, prepared)
    if request.method == hdrs.METH_HEAD:
        headers = {**image_headers(image_id, prepared), **body_headers(prepared, title), **more_headers}
        return web.Response(headers=headers | ACCEPT_RANGES)
    prepared, derivative = await site.images.derivative(prepared)
    with derivative:
        validators = Validators(prepared.key, prepared.info.modified)
        headers = {**image_headers(image_id, prepared), **body_headers(prepared, title), **more_headers}
        # Thousands are kept: of what was prepared, no more than it takes.
        identifier, info, key = wanted.identifier, prepared.info, prepared.key
        request[READY] = lambda: site.images.at_hand.recall(identifier, info, key)
        return await send_body(request, derivative.body, validators, headers)


class Title(NamedTuple):
    """What a saved derivative is called, before it is told what of the image it shows."""

    kind: Literal["attachment", "inline"]
    name: str
    described: bool = True


async def _title(request: web.Request, prepared: PreparedImage) -> Title | None:
    """The name by the query ``download``; without that, of whole images only: nobody saves a tile.

    What is merely shown is named after its identifier, because asking the profile may be slow.
    """
    asked = request.query.get("download") if request.rel_url.raw_query_string else None
    if asked is None or asked in _NO_DOWNLOAD:
        return shown_title(prepared)
    if asked in _PLAIN_DOWNLOAD:
        name = await prepared.profile.resolve_filename(prepared.request.identifier.name)
        return Title("attachment", name)
    return Title("attachment", asked, described=False)


def shown_title(prepared: PreparedImage) -> Title | None:
    """Of a derivative that is not asked for as a download."""
    name = prepared.request.identifier.name
    return Title("inline", name) if prepared.operation.is_full_region else None


@functools.lru_cache(maxsize=1024)
def _disposition(title: Title, operation: Operation, page: int) -> str:
    name = posixpath.basename(title.name) if title.kind == "inline" else title.name
    description = describe(operation, page) if title.described else ""
    return content_disposition(title.kind, safe_filename(stem_of(name), operation.format, description))


def image_headers(image_id: str, prepared: PreparedImage) -> Mapping[str, str]:
    """What every answer about a derivative carries."""
    validators = Validators(prepared.key, prepared.info.modified)
    link = (
        f'<{image_id}/{prepared.canonical}>;rel="canonical", <{prepared.request.api.profile}>;rel="profile"'
    )
    return {**caching_headers(validators, prepared.profile.options.cache_for), hdrs.LINK: link}


def body_headers(prepared: PreparedImage, title: Title | None = None) -> dict[str, str]:
    """What an answer carries that has a derivative for its body."""
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: prepared.operation.format.media_type}
    if title is not None:
        page = prepared.request.identifier.page
        headers[hdrs.CONTENT_DISPOSITION] = _disposition(title, prepared.operation, page)
    return headers

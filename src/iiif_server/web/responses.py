"""Headers that all answers share, conditional requests, and sending a derivative."""

from __future__ import annotations

import asyncio
import email.utils
import math
from datetime import UTC, datetime
from typing import NamedTuple

from aiohttp import hdrs, web

from iiif_server.caches.derivative import Derivative


class Validators(NamedTuple):
    """What a client's copy is compared with (RFC 9110 section 8.8).

    Attributes:
        etag: a strong entity tag, without quotes.
        modified: seconds since the epoch, if known.
    """

    etag: str
    modified: float | None


def caching_headers(validators: Validators, cache_for: int) -> dict[str, str]:
    """The headers by which clients and proxies keep a copy and ask again."""
    headers: dict[str, str] = {
        hdrs.ETAG: f'"{validators.etag}"',
        hdrs.CACHE_CONTROL: f"max-age={cache_for}",
    }
    if validators.modified is not None:
        headers[hdrs.LAST_MODIFIED] = email.utils.formatdate(validators.modified, usegmt=True)
    return headers


def not_modified(request: web.Request, validators: Validators) -> bool:
    """Tell whether the client's copy is current (RFC 9110 section 13.2.2): If-None-Match rules."""
    if hdrs.IF_NONE_MATCH in request.headers:
        tags = request.if_none_match or ()
        return any(tag.value in (validators.etag, "*") for tag in tags)
    since = request.if_modified_since
    if since is None or validators.modified is None:
        return False
    return datetime.fromtimestamp(math.floor(validators.modified), UTC) <= since


async def send_derivative(
    request: web.Request, derivative: Derivative, headers: dict[str, str]
) -> web.StreamResponse:
    """Send a derivative: small ones from memory, large ones from their open file by sendfile."""
    with derivative:
        if isinstance(derivative.body, bytes):
            return web.Response(body=derivative.body, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.content_length = derivative.length
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The client has gone.")
        loop = asyncio.get_running_loop()
        await loop.sendfile(transport, derivative.body.file, derivative.body.offset, derivative.length)
        await response.write_eof()
        return response


async def add_common_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: what every answer carries, errors included."""
    response.headers.setdefault(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, "*")
    response.headers.setdefault(hdrs.ACCESS_CONTROL_EXPOSE_HEADERS, "*")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers[hdrs.SERVER] = "iiif-server"  # versions are nobody's business on the open internet

"""Headers that all answers share, and conditional requests."""

from __future__ import annotations

import email.utils
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from aiohttp import hdrs, web

from iiif_server.web.negotiation import prefers

COMMON_HEADERS: Final[Mapping[str, str]] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "*",
    "X-Content-Type-Options": "nosniff",
    hdrs.SERVER: "iiif-server",  # versions are nobody's business on the open internet
}
"""What every answer carries."""


def error_document(
    status: int, text: str, accept: str | None, retry_after: int | None = None
) -> tuple[dict[str, str], bytes]:
    """An error as plain text, or as JSON for those who would rather have that; never cached.

    Returns:
        headers, and the body.
    """
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: "Accept"}
    if retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(retry_after)
    if prefers(accept, "application/json", over="text/plain"):
        headers[hdrs.CONTENT_TYPE] = "application/json; charset=utf-8"
        return headers, json.dumps({"error": text, "status": status}, ensure_ascii=False).encode()
    headers[hdrs.CONTENT_TYPE] = "text/plain; charset=utf-8"
    return headers, f"{text}\n".encode()


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
        headers[hdrs.LAST_MODIFIED] = _http_date(validators.modified)
    return headers


@lru_cache(maxsize=1024)
def _http_date(modified: float) -> str:
    return email.utils.formatdate(modified, usegmt=True)


def not_modified(request: web.Request, validators: Validators) -> bool:
    """Evaluate a request's conditions, in the order of RFC 9110 section 13.2.2, up to those of a range.

    Returns:
        whether the client's copy is current, so that 304 is the answer.

    Raises:
        web.HTTPPreconditionFailed: the client wants another version than this one, or nothing.
    """
    _check_wanted_version(request, validators)
    if hdrs.IF_NONE_MATCH in request.headers:
        tags = request.if_none_match or ()
        return any(tag.value in (validators.etag, "*") for tag in tags)
    since = condition_date(request, "if_modified_since")
    if since is None or validators.modified is None:
        return False
    return whole_second(validators.modified) <= since


def condition_date(
    request: web.Request, name: Literal["if_modified_since", "if_unmodified_since", "if_range"]
) -> datetime | None:
    """The date of a condition; ``None`` without one, or where it is none, which is to be ignored.

    To aiohttp, a year of twenty digits is an OverflowError.
    """
    try:
        date: datetime | None = getattr(request, name)
    except OverflowError:
        return None
    return date


def whole_second(modified: float) -> datetime:
    """A time as Last-Modified tells it: without the part of a second."""
    return datetime.fromtimestamp(math.floor(modified), UTC)


def _check_wanted_version(request: web.Request, validators: Validators) -> None:
    """If-Match, or without that If-Unmodified-Since (RFC 9110 sections 13.1.1 and 13.1.4)."""
    if hdrs.IF_MATCH in request.headers:
        tags = request.if_match or ()
        if not any(tag.value in (validators.etag, "*") and not tag.is_weak for tag in tags):
            raise web.HTTPPreconditionFailed
        return
    limit = condition_date(request, "if_unmodified_since")
    if limit is not None and validators.modified is not None and whole_second(validators.modified) > limit:
        raise web.HTTPPreconditionFailed


async def add_common_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: what every answer carries, errors included."""
    for name, value in COMMON_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = COMMON_HEADERS[hdrs.SERVER]  # aiohttp has put its own there

"""What is answered where no handler is asked: to what is no HTTP, too much of it, or too slow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from lru import LRU

from iiif_server.caches.throttle import ThrottledLog
from iiif_server.errors import ServerBusy
from iiif_server.web.responses import COMMON_HEADERS

logger = logging.getLogger(__name__)

_REASONS: Final = 16
_LOG_SECONDS: Final = 1.0
_TEXTS: Final = {
    400: "This is not a valid HTTP request.",
    408: "The request did not come in time.",
    414: "The request line is too long.",
    429: "There are too many connections from this address; try again in a moment.",
    431: "The header fields are too large.",
    500: "The server failed to answer this request.",
    503: "There are too many connections; try again in a moment.",
    504: "The server did not answer in time.",
}
_RETRY_AFTER: Final = {429: "5", 503: "5"}


class RefusalLog:
    """One line a second for each reason: a log line for each refusal would cost as much as the refusal."""

    def __init__(self) -> None:
        self._reasons: LRU[str, ThrottledLog] = LRU(_REASONS)

    def tell(self, error: ServerBusy, line: Callable[[], str]) -> None:
        """Log a refusal, or count it for the next line."""
        reason = self._reasons.get(error.public)
        if reason is None:
            reason = self._reasons[error.public] = ThrottledLog(logger, _LOG_SECONDS)
        reason.log(logging.WARNING, line)


def refusal(status: int) -> web.Response:
    """The answer of aiohttp's that has this status, in the form of our own."""
    response = web.Response(status=status, body=_body(status), headers=_headers(status))
    response.force_close()
    return response


def raw_refusal(status: int) -> bytes:
    """A whole answer as it is sent, for a connection that no request has come by."""
    body = _body(status)
    headers = _headers(status) | {hdrs.CONTENT_LENGTH: str(len(body))}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_of_malformed(error: BaseException | None, line_limit: int, field_limit: int) -> int:
    """The status for what aiohttp could not read (RFC 9110 section 15.5.15, RFC 6585 section 5).

    aiohttp answers 400 to all of it. Of a line that is too long it tells the limit, but not which it was.
    """
    if isinstance(error, LineTooLong) and line_limit != field_limit:
        return {line_limit: 414, field_limit: 431}.get(error.args[1], 400)
    return 400


def _body(status: int) -> bytes:
    return (_TEXTS.get(status) or HTTPStatus(status).phrase).encode() + b"\n"


def _headers(status: int) -> dict[str, str]:
    headers = {
        **COMMON_HEADERS,
        hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        hdrs.CONNECTION: "close",
    }
    if status in _RETRY_AFTER:
        headers[hdrs.RETRY_AFTER] = _RETRY_AFTER[status]
    return headers

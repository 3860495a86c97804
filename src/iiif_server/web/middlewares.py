"""What happens around every handler: preflights, and turning errors into answers, in one place."""

from __future__ import annotations

import functools
import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from iiif_server.errors import IIIFServerError, ServerBusy
from iiif_server.web.bodies import ClientGone
from iiif_server.web.failures import failure_line, log_failure
from iiif_server.web.queries import shown_target
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import error_document

logger = logging.getLogger(__name__)


class ErrorAnswers:
    """Stands around all handlers of an application.

    Args:
        refusals: where it is told that there was no room.
    """

    def __init__(self, refusals: RefusalLog) -> None:
        self._refusals = refusals

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer every error with its public text, and log the rest; answer OPTIONS, which no route does.

        Nothing of an unforeseen exception reaches the client. Once an answer has begun, a second one would be
        read as a part of it: then the connection is closed, so that the client knows that something is
        missing.
        """
        try:
            if request.body_exists and not _takes_body(request):
                return _hang_up_after(error_response(request, 413, _HTTP_TEXTS[413]))
            return await handler(request)
        except ClientGone:
            return _hang_up(request)
        except Exception as error:
            if isinstance(error, ConnectionError) and _has_left(request):
                return _hang_up(request)
            if request.method == hdrs.METH_OPTIONS and isinstance(error, _NO_ROUTE):
                return _options_response(error)
            if request.writer.output_size:
                logger.exception("%s %s failed amid its answer", request.method, shown_target(request))
                return _hang_up(request)
            if isinstance(error, web.HTTPException) and error.status < 400:
                raise
            if isinstance(error, ServerBusy):
                line = functools.partial(_line, request, error)
                self._refusals.tell(error, line)
                return _answer_by(request, error)
            return _answer_to(request, error)


_NO_ROUTE = (web.HTTPNotFound, web.HTTPMethodNotAllowed)


def _options_response(error: Exception) -> web.Response:
    """Answer a CORS preflight, and OPTIONS in general (Image API 3.0 section 7.1), at every address."""
    methods = _methods(error)
    headers = {
        hdrs.ALLOW: methods,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
        hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
    }
    return web.Response(status=204, headers=headers)


def error_response(
    request: web.Request, status: int, text: str, *, retry_after: int | None = None
) -> web.Response:
    """An error in the form that the client prefers; see :func:`error_document`."""
    headers, body = error_document(status, text, request.headers.get(hdrs.ACCEPT), retry_after)
    return web.Response(status=status, body=body, headers=headers)


def _methods(error: Exception | None) -> str:
    """What is answered at an address, by what the router says of another method there."""
    posts = isinstance(error, web.HTTPMethodNotAllowed) and hdrs.METH_POST in error.allowed_methods
    return "GET, HEAD, POST, OPTIONS" if posts else "GET, HEAD, OPTIONS"


# The asterisk never covers Authorization, and older browsers take it for a name.
_REQUEST_HEADERS = (
    "*, Authorization, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Range"
)


_CLIENT_GONE = 499
"""Never sent; what nginx writes into its log."""

_HTTP_TEXTS = {
    404: "There is nothing at this address.",
    412: "There is another version at this address than the one asked for.",
    413: "This address does not take so large a body, or any.",
    416: "The range lies outside of what is at this address.",
}


def _takes_body(request: web.Request) -> bool:
    """Whether the body of a request is to be read. That of a GET means nothing (RFC 9110 section 9.3.1)."""
    if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
        return False
    length = request.content_length
    return length is None or length <= request.client_max_size


def _has_left(request: web.Request) -> bool:
    """Tell whether the client's connection is the one that broke; profiles have connections as well."""
    return request.transport is None or request.transport.is_closing()


def _hang_up_after(response: web.Response) -> web.Response:
    """Close the connection after an answer: what else comes is not read."""
    response.force_close()
    return response


def _hang_up(request: web.Request) -> web.Response:
    """End the connection. What comes back can't be sent; if it were raised, the framework would log that."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=_CLIENT_GONE, reason="Client Closed Request")


def _line(request: web.BaseRequest, error: IIIFServerError) -> str:
    return failure_line(request.method, shown_target(request), error)


def _answer_by(request: web.Request, error: IIIFServerError) -> web.Response:
    return error_response(request, error.status, error.public, retry_after=error.retry_after)


def _answer_to(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, IIIFServerError):
        log_failure(request.method, shown_target(request), error)
        return _answer_by(request, error)
    if not isinstance(error, web.HTTPException):
        logger.error("%s %s failed", request.method, shown_target(request), exc_info=error)
        return error_response(request, 500, "The server failed to answer this request.")
    if error.status == 405:
        methods = _methods(error)
        response = error_response(request, 405, f"This address answers {methods}.")
        response.headers[hdrs.ALLOW] = methods
        return response
    response = error_response(request, error.status, _HTTP_TEXTS.get(error.status, error.reason))
    if hdrs.CONTENT_RANGE in error.headers:  # of a 416
        response.headers[hdrs.CONTENT_RANGE] = error.headers[hdrs.CONTENT_RANGE]
    return response

"""What is noted about every request: its id, how it ended, how long it took, where its answer came from."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from iiif_server.telemetry.lines import FIELDS, printable, shortened
from iiif_server.telemetry.logs import ACCESS_LOGGER
from iiif_server.telemetry.metrics import Metrics, RequestKey
from iiif_server.telemetry.timings import (
    CURRENT,
    Tier,
    Trace,
    clean_request_id,
    new_request_id,
    server_timing,
)
from iiif_server.web.kinds import kind_of
from iiif_server.web.queries import is_asked_for, shown_target
from iiif_server.web.urls import PublicUrls

REQUEST_ID: Final = "X-Request-ID"

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST"})
CLIENT_LEFT: Final = 499
"""What nginx made the usual status in logs of a request whose client left before an answer. Never sent."""

_IMAGES: Final = frozenset({"image", "thumbnail", "preview", "identifier"})

access_logger = logging.getLogger(ACCESS_LOGGER)


class RequestTrace(Trace):
    """A request under observation.

    Attributes:
        response: its answer, as soon as that begins.
    """

    __slots__ = ("response",)

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.response: web.StreamResponse | None = None


class Described(NamedTuple):
    """A request for what was at hand, so that it need not be described again when it comes again."""

    key: RequestKey
    target: str


class Observer:
    """Stands around all other middlewares.

    Args:
        metrics: where requests are counted.
        urls: know the trusted proxies.
        profiles: the names of the configured profiles.
        default_profile: the one that identifiers without a profile mean.
        access_log: whether each request is logged.
        server_timing: whether clients may ask how long each step took.
    """

    def __init__(
        self,
        metrics: Metrics,
        urls: PublicUrls,
        profiles: frozenset[str],
        default_profile: str | None,
        *,
        access_log: bool,
        server_timing: bool,
    ) -> None:
        self._metrics = metrics
        self._urls = urls
        self._profiles = profiles
        self._default = default_profile
        self._access_log = access_log
        self._server_timing = server_timing
        self._in_progress = 0

    def statistics(self) -> Mapping[str, float]:
        """How many requests are being answered."""
        return {"in_progress": self._in_progress}

    @web.middleware
    async def observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware; no other one is around it."""
        trace = RequestTrace(self._request_id(request))
        CURRENT.set(trace)
        self._in_progress += 1
        # When this returns, nothing has been sent. The request's task ends when all has, or never will be.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(functools.partial(self._finish, request, trace))
        return await handler(request)

    async def tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """Signal handler: add to an answer what the client may know, before its head is sent."""
        trace = CURRENT.get()
        if not isinstance(trace, RequestTrace):
            return
        trace.response = response
        response.headers[REQUEST_ID] = trace.request_id
        if self._server_timing and is_asked_for(request, "timing"):
            response.headers["Server-Timing"] = server_timing(trace)
            response.headers["Timing-Allow-Origin"] = "*"

    def described(self, request: web.Request) -> Described:
        """A request whose answer is at hand from now on."""
        kind = kind_of(request)
        tier = Tier.MEMORY if kind in _IMAGES else ""
        key = RequestKey(kind, self._profile(request), request.method, 200, tier)
        return Described(key, shown_target(request))

    @contextmanager
    def observed(self) -> Iterator[Trace]:
        """A request that is answered without the framework; the task that answers is its own."""
        trace = Trace(new_request_id())
        CURRENT.set(trace)
        self._in_progress += 1
        try:
            yield trace
        finally:
            self._in_progress -= 1

    def left(self, described: Described, client: str, began: float) -> None:
        """Count and log a request whose client left before an answer; see :meth:`repeated`."""
        self._metrics.aborted.labels(described.key.kind).inc()
        self.repeated(described, new_request_id(), client, began, 0)

    def repeated(self, described: Described, request_id: str, client: str, began: float, sent: int) -> None:
        """Count and log a request that was answered without the framework.

        Args:
            described: what it was.
            request_id: its own.
            client: the address that it came from.
            began: by ``time.perf_counter``.
            sent: bytes of the body.
        """
        seconds = perf_counter() - began
        self._metrics.request_done(described.key, seconds, sent)
        if self._access_log:
            trace = CURRENT.set(RequestTrace(request_id))  # log lines have its id
            self._write(client, described.target, described.key, sent, seconds)
            CURRENT.reset(trace)

    def _finish(self, request: web.Request, trace: RequestTrace, task: asyncio.Task[Any]) -> None:
        """Count the request, and log it."""
        self._in_progress -= 1
        seconds = trace.elapsed()
        complete = _was_completed(task)
        sent = _bytes_sent(request, trace.response, complete=complete)
        status = CLIENT_LEFT if trace.response is None else trace.response.status
        kind, method = kind_of(request), request.method
        if method not in _METHODS:
            method = "other"
        key = RequestKey(kind, self._profile(request), method, status, _tier(kind, status, trace))
        self._metrics.request_done(key, seconds, sent)
        if not complete:
            self._metrics.aborted.labels(kind).inc()
        if self._access_log:
            key = key._replace(method=printable(shortened(request.method, 20)))
            self._write(self._urls.client(request), shown_target(request), key, sent, seconds)

    def _write(self, client: str, target: str, key: RequestKey, sent: int, seconds: float) -> None:
        """Write a line of the access log."""
        milliseconds = round(seconds * 1000, 2)
        fields = {
            "method": key.method,
            "path": target,
            "status": key.status,
            "client": client,
            "kind": key.kind,
            "profile": key.profile,
            "tier": key.tier,
            "bytes": sent,
            "duration_ms": milliseconds,
        }
        access_logger.info(
            '%s "%s %s" %d %d B %.2f ms %s',
            *(client or "-", key.method, target, key.status),
            *(sent, milliseconds, key.tier or "-"),
            extra={FIELDS: fields},
        )

    def _profile(self, request: web.Request) -> str:
        """The profile that an address names, if it is configured: what strangers write is no label."""
        identifier = request.match_info.get("identifier")
        if identifier is None:
            return ""
        profile, colon, _ = identifier.partition(":")
        if not colon:
            profile = self._default or ""
        return profile if profile in self._profiles else ""

    def _request_id(self, request: web.Request) -> str:
        """The one that a trusted proxy has given, else a new one."""
        told = request.headers.get(REQUEST_ID)
        if told is not None and self._urls.is_from_proxy(request):
            return clean_request_id(told) or new_request_id()
        return new_request_id()


def _was_completed(task: asyncio.Task[Any]) -> bool:
    """Whether the whole answer was handed to the connection."""
    if task.cancelled() or task.exception() is not None:
        return False
    result = task.result()  # of aiohttp: the answer, and whether the connection was lost over it
    return not (isinstance(result, tuple) and len(result) == 2 and result[1] is True)


def _bytes_sent(request: web.Request, response: web.StreamResponse | None, *, complete: bool) -> int:
    """How many bytes of the body went out; what was written so far, with the head, if not all of it did."""
    if response is None or request.method == hdrs.METH_HEAD or response.status in (204, 304):
        return 0
    if complete and response.content_length is not None:
        return response.content_length  # files are sent past the writer that counts
    return request.writer.output_size


def _tier(kind: str, status: int, trace: Trace) -> str:
    """Where an image came from; empty for whatever is none, and for answers without a body."""
    if status == 304 and kind in _IMAGES:
        return "not_modified"
    return trace.tier or ""

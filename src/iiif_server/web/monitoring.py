"""What operators and their machines ask: status, health and metrics. None of it is ever cached."""

from __future__ import annotations

import asyncio
import json

from aiohttp import hdrs, web

from iiif_server.telemetry.metrics import CONTENT_TYPE
from iiif_server.web.codings import choose_coding, coding_headers, encode
from iiif_server.web.keys import SITE
from iiif_server.web.queries import read_flag

_NO_STORE = {hdrs.CACHE_CONTROL: "no-store"}


async def get_status(request: web.Request) -> web.StreamResponse:
    """``/status``: how everything is, as JSON; ``?full=true`` counts the files of each profile as well."""
    status = await request.app[SITE].status.status(full=read_flag(request, "full", default=False))
    return _json(status, 200)


async def get_liveness(_request: web.Request) -> web.StreamResponse:
    """``/health/live``: an answer says that the event loop turns; without one, restart the server."""
    return _json({"status": "alive"}, 200)


async def get_readiness(request: web.Request) -> web.StreamResponse:
    """``/health/ready`` and ``/health``: 200, or 503 with the reasons why no requests should come here."""
    readiness = request.app[SITE].monitor.readiness()
    return _json(readiness.to_json(), 200 if readiness.is_ready else 503)


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """``/metrics``: what Prometheus reads, in its text format."""
    text = await request.app[SITE].metrics.text()
    coding = choose_coding(request, len(text))
    body = await asyncio.to_thread(encode, text, coding)
    headers = {hdrs.CONTENT_TYPE: CONTENT_TYPE, hdrs.VARY: hdrs.ACCEPT_ENCODING} | coding_headers(coding)
    return web.Response(body=body, headers=_NO_STORE | headers)


def _json(content: object, status: int) -> web.Response:
    return web.Response(
        status=status, text=json.dumps(content), content_type="application/json", headers=_NO_STORE
    )

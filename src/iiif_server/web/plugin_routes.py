"""The addresses that plugins answer."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from iiif_server.iiif.uri import decode_segment
from iiif_server.routes import IMAGE_ENDINGS, Route, RouteRequest
from iiif_server.web.keys import SITE
from iiif_server.web.urls import raw_segments

_NO_IMAGE: Final = f"(?!(?:{'|'.join(map(re.escape, sorted(IMAGE_ENDINGS)))})$)[^/]+"


def add_plugin_routes(router: web.UrlDispatcher, routes: Iterable[Route]) -> None:
    """Register what plugins answer."""
    for route in routes:
        path = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", route.path)
        if route.ends_like_an_image:
            path = path.replace("[^/]+", _NO_IMAGE)
        router.add_get(path, functools.partial(_answer, route=route))


async def _answer(request: web.Request, *, route: Route) -> web.StreamResponse:
    """Have the plugin answer."""
    site = request.app[SITE]
    parts = route.path.split("/")[1:]
    segments = raw_segments(request, len(parts))
    parameters = {
        part[1:-1]: decode_segment(segment)
        for part, segment in zip(parts, segments, strict=True)
        if part.startswith("{")
    }
    answer = await route.handler(
        RouteRequest(
            parameters=parameters,
            query={name: request.query[name] for name in request.query},
            profiles=site.profiles.profiles,
            default_profile=site.profiles.default,
            base_url=site.urls.base(request),
        )
    )
    headers = {"Content-Type": answer.content_type} if answer.body else {}
    return web.Response(status=answer.status, body=answer.body, headers={**headers, **answer.headers})

"""The whole URL map."""

from __future__ import annotations

from aiohttp import web

from iiif_server.web import images, info, start
from iiif_server.web.urls import IIIF3

# Segments are matched here and read raw by the handlers: a percent-encoded slash stays within its segment.
_IDENTIFIER = "/{identifier:[^/]+}"
_PARAMETERS = "/{region:[^/]+}/{size:[^/]+}/{rotation:[^/]+}/{quality_format:[^/]+}"


def add_routes(app: web.Application) -> None:
    """Register every address that this server answers."""
    router = app.router
    router.add_get("/", start.get_start_page)
    router.add_get("/static/{file:.+}", start.get_static)
    for prefix in ("", IIIF3):
        router.add_get(f"{prefix}{_IDENTIFIER}{_PARAMETERS}", images.get_image)
        router.add_get(f"{prefix}{_IDENTIFIER}/info.json", info.get_info)
        router.add_get(f"{prefix}{_IDENTIFIER}", info.redirect_to_info)

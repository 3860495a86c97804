"""The whole URL map."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from aiohttp import web

from iiif_server.iiif.version import ApiVersion
from iiif_server.iiif.versions import VERSIONS
from iiif_server.routes import Route
from iiif_server.web import assets, images, info, monitoring, originals, shortcuts, start
from iiif_server.web.plugin_routes import add_plugin_routes
from iiif_server.web.urls import API_PATH

# Segments are matched here and read raw by the handlers: a percent-encoded slash stays within its segment.
_IDENTIFIER = "/{identifier:[^/]+}"
_PARAMETERS = "/{region:[^/]+}/{size:[^/]+}/{rotation:[^/]+}/{quality_format:[^/]+}"


def add_routes(app: web.Application, default_api: ApiVersion, plugin_routes: Sequence[Route] = ()) -> None:
    """Register every address that this server answers, and those of plugins."""
    router = app.router
    router.add_get("/", start.get_start_page)
    router.add_get("/static/{file:.+}", assets.get_asset)
    router.add_get("/favicon.ico", assets.get_favicon)
    router.add_get("/status", monitoring.get_status)
    router.add_get("/metrics", monitoring.get_metrics)
    router.add_get("/health/live", monitoring.get_liveness)
    for path in ("/health", "/health/ready"):
        router.add_get(path, monitoring.get_readiness)
    router.add_get("/originals", originals.get_originals)
    router.add_post("/originals", originals.get_originals)
    add_plugin_routes(router, plugin_routes)
    for address, handler in (
        (_IDENTIFIER + "/thumbnail", shortcuts.get_thumbnail),
        (_IDENTIFIER + "/preview", shortcuts.get_preview),
        (_IDENTIFIER, shortcuts.show_or_describe),
    ):
        router.add_get(address, functools.partial(handler, api=default_api))
    router.add_get(_IDENTIFIER + "/original", originals.get_original)
    _add_image_api(router, default_api, "")
    for number, api in VERSIONS.items():
        path = API_PATH.format(number=number)
        _add_image_api(router, api, path)
        router.add_get(path + _IDENTIFIER, functools.partial(info.redirect_to_info, path=path))


def _add_image_api(router: web.UrlDispatcher, api: ApiVersion, path: str) -> None:
    for address, handler in (
        (_IDENTIFIER + _PARAMETERS, images.get_image),
        (_IDENTIFIER + "/info.json", info.get_info),
    ):
        router.add_get(path + address, functools.partial(handler, api=api, path=path))

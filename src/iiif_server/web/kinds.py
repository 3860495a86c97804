"""What kind of address a request is for: a few words by which requests are counted."""

from __future__ import annotations

import functools
from typing import Final

from aiohttp import web

OTHER: Final = "other"
"""Of requests that no address of ours answers, and of preflights."""

_PLAIN: Final = {
    "/": "start",
    "/favicon.ico": "static",
    "/static/{file}": "static",
    "/status": "status",
    "/metrics": "metrics",
    "/health": "health",
    "/health/live": "health",
    "/health/ready": "health",
    "/originals": "zip",
}
_OF_AN_IMAGE: Final = {
    "": "identifier",
    "/info.json": "info",
    "/thumbnail": "thumbnail",
    "/preview": "preview",
    "/original": "original",
    "/{region}/{size}/{rotation}/{quality_format}": "image",
}
_IDENTIFIER: Final = "/{identifier}"

KINDS: Final = tuple(sorted({*_PLAIN.values(), *_OF_AN_IMAGE.values(), "plugin", OTHER}))
"""All there are."""


def kind_of(request: web.Request) -> str:
    """The kind of a request; of an address that a plugin answers, ``plugin``."""
    resource = request.match_info.route.resource
    return OTHER if resource is None else _kind(resource.canonical)


@functools.lru_cache(maxsize=256)  # as many as there are routes
def _kind(path: str) -> str:
    if path in _PLAIN:
        return _PLAIN[path]
    api, identifier, rest = path.partition(_IDENTIFIER)
    if identifier and api in ("", "/iiif/2", "/iiif/3") and rest in _OF_AN_IMAGE:
        return _OF_AN_IMAGE[rest]
    return "plugin"

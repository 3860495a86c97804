"""The package's static files: read and compressed once, so that no request does either."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Self

from aiohttp import hdrs, web

from iiif_server.errors import NotFound
from iiif_server.web.codings import CODINGS, choose_coding, coding_headers, encode, entity_tag
from iiif_server.web.responses import Validators, caching_headers, not_modified

_MAX_AGE = 86400
_WORTHWHILE = 0.9
"""A coding is kept if it makes a file smaller than this part of it: images are compressed already."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file.

    Attributes:
        media_type: by its name.
        bodies: its bytes by content coding, ``identity`` among them.
        tags: the entity tag of each.
    """

    media_type: str
    bodies: Mapping[str, bytes]
    tags: Mapping[str, str]

    @classmethod
    def of(cls, name: str, content: bytes) -> Self:
        """Compress a file as far as that helps. Takes a while: not on the event loop."""
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        bodies = {"identity": content}
        for coding in CODINGS:
            body = encode(content, coding, level=9)
            if len(body) < _WORTHWHILE * len(content):
                bodies[coding] = body
        return cls(media_type, bodies, {coding: entity_tag(media_type, coding, content) for coding in bodies})


Assets = Mapping[str, Asset]
ASSETS = web.AppKey("assets", Assets)


def load_assets() -> Assets:
    """Read every static file, by its path below the package's directory of them."""
    return {name: Asset.of(name, content) for name, content in _read("", files("iiif_server.web") / "static")}


async def get_asset(request: web.Request) -> web.StreamResponse:
    """``/static/…``: a file of the package that the start page needs."""
    return _send(request, request.match_info["file"])


async def get_favicon(request: web.Request) -> web.StreamResponse:
    """``/favicon.ico``, which browsers ask for on their own."""
    return _send(request, "favicon.ico")


def _send(request: web.Request, name: str) -> web.StreamResponse:
    asset = request.app[ASSETS].get(name)
    if asset is None:
        raise NotFound("There is nothing at this address.")
    coding = choose_coding(request, len(asset.bodies["identity"]))
    if coding not in asset.bodies:
        coding = "identity"
    validators = Validators(asset.tags[coding], None)
    headers = caching_headers(validators, _MAX_AGE) | {hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if not_modified(request, validators):
        return web.Response(status=304, headers=headers)
    headers |= {hdrs.CONTENT_TYPE: asset.media_type} | coding_headers(coding)
    return web.Response(body=asset.bodies[coding], headers=headers)


def _read(prefix: str, directory: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(f"{prefix}{entry.name}/", entry)
        else:
            yield prefix + entry.name, entry.read_bytes()

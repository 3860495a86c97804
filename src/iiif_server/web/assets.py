"""The package's static files: read once, and compressed once they are asked for."""

from __future__ import annotations

import asyncio
import functools
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple, Self

from aiohttp import hdrs, web

from iiif_server.errors import NotFound
from iiif_server.web.codings import choose_coding, coding_headers, encode, entity_tag
from iiif_server.web.responses import Validators, caching_headers, not_modified

_MAX_AGE = 86400
_WORTHWHILE = 0.9
"""A coding is kept if it makes a file smaller than this part of it: images are compressed already."""


class Coded(NamedTuple):
    """A file as it is sent.

    Attributes:
        coding: the content coding; ``identity`` for none.
        body: the bytes in it.
        tag: the entity tag.
    """

    coding: str
    body: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file.

    Attributes:
        media_type: by its name.
        content: its bytes.
    """

    media_type: str
    content: bytes
    _coded: dict[str, Coded] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, content: bytes) -> Self:
        """A file of this name."""
        return cls(mimetypes.guess_type(name)[0] or "application/octet-stream", content)

    async def coded(self, coding: str) -> Coded:
        """The file in a content coding, or as it is where the coding makes it hardly smaller.

        Compressed at the first request and not at the start, which would take longer by it.
        """
        if coding not in self._coded:
            self._coded[coding] = await asyncio.to_thread(self._encode, coding)
        return self._coded[coding]

    def _encode(self, coding: str) -> Coded:
        body = encode(self.content, coding, level=9)
        if len(body) >= _WORTHWHILE * len(self.content):
            coding, body = "identity", self.content
        return Coded(coding, body, entity_tag(self.media_type, coding, self.content))


Assets = Mapping[str, Asset]
ASSETS = web.AppKey("assets", Assets)


@functools.cache
def load_assets() -> Assets:
    """Read every static file, once in a process, by its path below the package's directory of them."""
    return {name: Asset.of(name, content) for name, content in _read("", files("iiif_server.web") / "static")}


async def get_asset(request: web.Request) -> web.StreamResponse:
    """``/static/…``: a file of the package that the start page needs."""
    return await _send(request, request.match_info["file"])


async def get_favicon(request: web.Request) -> web.StreamResponse:
    """``/favicon.ico``, which browsers ask for on their own."""
    return await _send(request, "favicon.ico")


async def _send(request: web.Request, name: str) -> web.StreamResponse:
    asset = request.app[ASSETS].get(name)
    if asset is None:
        raise NotFound("There is nothing at this address.")
    coding, body, tag = await asset.coded(choose_coding(request, len(asset.content)))
    validators = Validators(tag, None)
    headers = caching_headers(validators, _MAX_AGE) | {hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if not_modified(request, validators):
        return web.Response(status=304, headers=headers)
    headers |= {hdrs.CONTENT_TYPE: asset.media_type} | coding_headers(coding)
    return web.Response(body=body, headers=headers)


def _read(prefix: str, directory: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(f"{prefix}{entry.name}/", entry)
        else:
            yield prefix + entry.name, entry.read_bytes()

"""Wishes for images that no request is made of: stored tiles at hand, and what there is no room for."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs

from iiif_server.errors import IIIFServerError, ServerBusy
from iiif_server.iiif.uri import Identifier, parse_identifier
from iiif_server.iiif.versions import VERSIONS
from iiif_server.services.image_requests import ImageRequest
from iiif_server.telemetry.metrics import RequestKey
from iiif_server.telemetry.timings import Tier
from iiif_server.web.doorway import Refused
from iiif_server.web.heads import Wish
from iiif_server.web.images import body_headers, image_headers, read_address
from iiif_server.web.keys import Site
from iiif_server.web.observe import Described
from iiif_server.web.queries import shown_path
from iiif_server.web.ranges import ACCEPT_RANGES
from iiif_server.web.ready import Given, head_of
from iiif_server.web.responses import error_document

# As the routes have it; what may be a fragment is left to the framework.
_ADDRESS: Final = re.compile(rb"(/iiif/([23]))?/([^/#]+)(?:/[^/#]+){4}")


class ImageWishes:
    """Answers some of the wishes for images of a site, and knows for which there is no room."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def is_full(self, ahead: int) -> bool:
        """See :meth:`iiif_server.web.doorway.Room.is_full`."""
        return self._site.images.room.is_full(ahead)

    def stored_tile(self, wish: Wish) -> Given | None:
        """Answer a wish for a stored tile that is at hand: the same as ``get_image``, without a request.

        What else there is, errors included, is left to that.
        """
        try:
            address = _ADDRESS.fullmatch(wish.target)
            if address is None or not self._site.images.may_have_tiles(self._identifier(address)):
                return None
            found = self._site.images.stored_tile(self._request(address))
            if found is None:
                return None
            base = self._site.urls.plain_base(wish.host.decode())
        except IIIFServerError:
            return None
        prepared, tile = found
        path = (address[1] or b"").decode()
        image_id = f"{base}{path}/{prepared.request.identifier}"
        headers = {**image_headers(image_id, prepared), **body_headers(prepared)} | ACCEPT_RANGES
        described = _described(wish, prepared.request.identifier.profile, 200, Tier.SOURCE)
        return Given(head_of(200, headers, len(tile)), tile, described)

    async def look(self, wishes: Sequence[Wish], ahead: int) -> Sequence[Refused | None]:
        """See :meth:`iiif_server.web.doorway.Room.look`."""
        refused: list[Refused | None] = [None] * len(wishes)
        places, requests = [], []
        for place, wish in enumerate(wishes):
            try:
                if (address := _ADDRESS.fullmatch(wish.target)) is not None:
                    requests.append(self._request(address))
                    places.append(place)
            except IIIFServerError:  # the framework tells
                continue
        errors = await self._site.images.refusals(requests, ahead)
        for place, request, error in zip(places, requests, errors, strict=True):
            if error is not None:
                refused[place] = _refused(wishes[place], request.identifier.profile, error)
        return refused

    def unseen(self, wish: Wish, ahead: int) -> Refused | None:
        """See :meth:`iiif_server.web.doorway.Room.unseen`."""
        if (address := _ADDRESS.fullmatch(wish.target)) is None:
            return None
        if (error := self._site.images.room.refusal(ahead)) is None:
            return None
        try:
            profile = self._site.profiles.get(self._identifier(address).profile).context.name
        except IIIFServerError:
            return None
        return _refused(wish, profile, error)

    def _identifier(self, address: re.Match[bytes]) -> Identifier:
        return _identifier(address[3].decode(), self._site.profiles.default)

    def _request(self, address: re.Match[bytes]) -> ImageRequest:
        api = VERSIONS[int(address[2])] if address[2] else self._site.default_api
        return read_address(address[0].decode(), self._site.profiles.default, api)


@functools.lru_cache(maxsize=1024)
def _identifier(segment: str, default_profile: str | None) -> Identifier:
    return parse_identifier(segment, default_profile)


def _refused(wish: Wish, profile: str, error: ServerBusy) -> Refused:
    head, body = _refusal(error.status, error.public, error.retry_after, wish.accept)
    return Refused(error, Given(head, body, _described(wish, profile, error.status, "")))


@functools.lru_cache(maxsize=256)
def _refusal(status: int, text: str, retry_after: int | None, accept: bytes | None) -> tuple[bytes, bytes]:
    headers, body = error_document(status, text, None if accept is None else accept.decode(), retry_after)
    return head_of(status, headers, len(body)), body


def _described(wish: Wish, profile: str, status: int, tier: str) -> Described:
    return Described(_key(profile, status, tier), shown_path(wish.target.decode()))


@functools.lru_cache(maxsize=256)
def _key(profile: str, status: int, tier: str) -> RequestKey:
    return RequestKey("image", profile, hdrs.METH_GET, status, tier)

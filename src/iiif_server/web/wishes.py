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
from iiif_server.web.ready import Given
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
        return Given(headers, tile, _described(wish, prepared.request.identifier.profile, 200, Tier.SOURCE))

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
    accept = None if wish.accept is None else wish.accept.decode()
    headers, body = error_document(error.status, error.public, accept, error.retry_after)
    return Refused(error, Given(headers, body, _described(wish, profile, error.status, "")))


def _described(wish: Wish, profile: str, status: int, tier: str) -> Described:
    key = RequestKey("image", profile, hdrs.METH_GET, status, tier)
    return Described(key, shown_path(wish.target.decode()))

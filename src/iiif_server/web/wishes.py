"""Wishes for images that no request of the framework is made of: answers, and what there is no room for."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from math import prod
from typing import Final

from aiohttp import hdrs

from iiif_server.errors import IIIFServerError, ServerBusy
from iiif_server.iiif.uri import Identifier, parse_identifier
from iiif_server.iiif.versions import VERSIONS
from iiif_server.services.at_hand import Found
from iiif_server.services.image_requests import ImageRequest, PreparedImage
from iiif_server.telemetry.metrics import RequestKey
from iiif_server.telemetry.timings import Tier, Trace
from iiif_server.web.doorway import Fetch, Refused
from iiif_server.web.failures import log_failure
from iiif_server.web.heads import Wish
from iiif_server.web.images import body_headers, image_headers, read_address, shown_title
from iiif_server.web.keys import Site
from iiif_server.web.observe import Described
from iiif_server.web.queries import shown_path
from iiif_server.web.ranges import ACCEPT_RANGES
from iiif_server.web.ready import Given, head_of
from iiif_server.web.responses import error_document

_MOST_PIXELS: Final = 1 << 20
"""Of an answer that is sent at once: some megabytes, whatever its format."""

# As the routes have it; what may be a fragment is left to the framework.
_ADDRESS: Final = re.compile(rb"(/iiif/([23]))?/([^/#]+)(?:/[^/#]+){4}")


class ImageWishes:
    """Answers some of the wishes for images of a site, and knows for which there is no room."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def is_full(self, ahead: int) -> bool:
        """See :meth:`iiif_server.web.doorway.Room.is_full`."""
        return self._site.images.room.is_full(ahead)

    def takes_work(self, wish: Wish) -> bool:
        """See :meth:`iiif_server.web.doorway.Room.takes_work`."""
        return _ADDRESS.fullmatch(wish.target) is not None

    def stored_tile(self, wish: Wish) -> Given | None:
        """Answer a wish for a stored tile that is at hand: the same as ``get_image``, without a request.

        What else there is, errors included, is left to that. Of other images it takes next to nothing to say
        no: there may be a flood of wishes.
        """
        at_hand = self._site.images.at_hand
        try:
            address = _ADDRESS.fullmatch(wish.target)
            if address is None or not at_hand.may_have_tiles(self._identifier(address)):
                return None
            found = at_hand.stored_tile(self._request(address))
            return None if found is None else self._given(wish, address, found)
        except IIIFServerError:
            return None

    def fetch(self, wish: Wish) -> Fetch | None:
        """See :meth:`iiif_server.web.doorway.Room.fetch`.

        Left to the framework are images that the profile has to be asked about, mistakes, and what is so
        large that it is sent piece by piece, as fast as the client takes it.
        """
        try:
            if (address := _ADDRESS.fullmatch(wish.target)) is None:
                return None
            prepared = self._site.images.at_hand.resolve(self._request(address))
        except IIIFServerError:
            return None
        if prepared is None or prod(prepared.operation.size) > _MOST_PIXELS:
            return None
        return functools.partial(self._brought, wish, address, prepared)

    def describe(self, wish: Wish, status: int) -> Described:
        """See :meth:`iiif_server.web.doorway.Room.describe`."""
        address = _ADDRESS.fullmatch(wish.target)
        assert address is not None  # or nothing was fetched
        return _described(wish, self._identifier(address).profile, status, "")

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

    async def _brought(
        self, wish: Wish, address: re.Match[bytes], prepared: PreparedImage, trace: Trace
    ) -> Given | Refused | None:
        """What :meth:`fetch` is about: the same as ``get_image``, errors included."""
        try:
            prepared, derivative = await self._site.images.derivative(prepared)
            with derivative:
                if not isinstance(derivative.body, bytes) or trace.tier is None:
                    return None
                return self._given(wish, address, Found(prepared, derivative.body, trace.tier))
        except ServerBusy as error:
            return _refused(wish, prepared.request.identifier.profile, error)
        except IIIFServerError as error:
            log_failure(hdrs.METH_GET, shown_path(wish.target.decode()), error)
            return _failed(wish, prepared.request.identifier.profile, error)

    def _given(self, wish: Wish, address: re.Match[bytes], found: Found) -> Given:
        """The answer.

        Raises:
            InvalidRequest: the wish's host is none.
        """
        prepared, body, tier = found
        identifier, info, key = prepared.request.identifier, prepared.info, prepared.key
        base = self._site.urls.plain_base(wish.host.decode())
        image_id = f"{base}{(address[1] or b'').decode()}/{identifier}"
        own = {**image_headers(image_id, prepared), **body_headers(prepared, shown_title(prepared))}
        again = None
        if tier is not Tier.SOURCE:  # stored tiles are no part of what is in memory
            again = functools.partial(self._site.images.at_hand.recall, identifier, info, key)
        described = _described(wish, identifier.profile, 200, tier)
        return Given(head_of(200, own | ACCEPT_RANGES, len(body)), body, described, again)

    def _identifier(self, address: re.Match[bytes]) -> Identifier:
        return _identifier(address[3].decode(), self._site.profiles.default)

    def _request(self, address: re.Match[bytes]) -> ImageRequest:
        api = VERSIONS[int(address[2])] if address[2] else self._site.default_api
        return read_address(address[0].decode(), self._site.profiles.default, api)


@functools.lru_cache(maxsize=1024)
def _identifier(segment: str, default_profile: str | None) -> Identifier:
    return parse_identifier(segment, default_profile)


def _refused(wish: Wish, profile: str, error: ServerBusy) -> Refused:
    return Refused(error, _failed(wish, profile, error))


def _failed(wish: Wish, profile: str, error: IIIFServerError) -> Given:
    head, body = _failure(error.status, error.public, error.retry_after, wish.accept)
    return Given(head, body, _described(wish, profile, error.status, ""))


@functools.lru_cache(maxsize=256)
def _failure(status: int, text: str, retry_after: int | None, accept: bytes | None) -> tuple[bytes, bytes]:
    headers, body = error_document(status, text, None if accept is None else accept.decode(), retry_after)
    return head_of(status, headers, len(body)), body


def _described(wish: Wish, profile: str, status: int, tier: str) -> Described:
    return Described(_key(profile, status, tier), shown_path(wish.target.decode()))


@functools.lru_cache(maxsize=256)
def _key(profile: str, status: int, tier: str) -> RequestKey:
    return RequestKey("image", profile, hdrs.METH_GET, status, tier)

"""Images behind an address that has their name in it, without a catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from iiif_server_mss.documents import Document
from iiif_server_mss.errors import Complaints, not_found
from iiif_server_mss.options import MssOptions
from iiif_server_mss.web import Session, problem


class Plain:
    """Images at ``url``.

    Args:
        options: of the profile, in the form with ``url``.
        complaints: makes the errors.
    """

    def __init__(self, options: MssOptions, complaints: Complaints) -> None:
        assert options.url is not None
        self._template = options.url
        self._session = Session(options.mss_limit, verify=options.mss_ssl)
        self._complaints = complaints

    async def find(self, name: str) -> Document:
        """See :meth:`Origin.find`; whether the image is there shows when its file is asked for."""
        if name in (".", ".."):
            raise not_found(name, "it would lead out of the address")
        last = self._template.partition("?")[0].rpartition("/")[2]
        return Document(name, "", last.replace("{name}", name) if "{name}" in last else name)

    @asynccontextmanager
    async def open(
        self, document: Document, file: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See :meth:`Origin.open`."""
        del file  # there is one of each image
        url = URL(self._template.replace("{name}", quote(document.name, safe="")), encoded=True)
        failure = partial(self._complaints.unavailable, "mss_direct", document.name)
        async with self._session.get(url, failure, headers) as response:
            if response.status in (404, 410):
                raise not_found(document.name, f"{url}: {response.status}")
            if why := problem(response):
                raise failure(why)
            yield response

    async def status(self) -> dict[str, Any]:
        """See :meth:`Origin.status`; such a place has nothing to ask."""
        return {}

    async def close(self) -> None:
        """See :meth:`Origin.close`."""
        await self._session.close()

"""The museum's services: a catalogue, a media store, and the DAMS behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from iiif_server_mss.documents import Document, parse
from iiif_server_mss.errors import Complaints, not_found
from iiif_server_mss.health import measured, read_status
from iiif_server_mss.index import CatalogueFailed, Index
from iiif_server_mss.options import MssOptions
from iiif_server_mss.web import QUICK, Session, problem

_LONGEST_URL: Final = 8192
_NOT_NOW: Final = frozenset({408, 425, 429})
"""Client errors that say nothing of access."""


class Museum:
    """Images of the museum; their names are GUIDs.

    Args:
        options: of the profile, in the form with ``es_hosts`` and ``mss_url``.
        complaints: makes the errors.
        logger: is told of what is wrong in the catalogue.
    """

    def __init__(self, options: MssOptions, complaints: Complaints, logger: logging.Logger) -> None:
        self._base = f"{options.mss_url}/nhmlive"
        self._index = Index(options)
        self._mss = Session(options.mss_limit, verify=options.mss_ssl)
        self._dams = Session(options.dams_limit, verify=options.dams_ssl)
        self._complaints = complaints
        self._logger = logger

    async def find(self, name: str) -> Document:
        """See :meth:`Origin.find`."""
        try:
            count, data = await self._index.search("guid", name)
        except CatalogueFailed as error:
            raise self._complaints.unavailable("es", name, str(error)) from error
        if count > 1:
            self._logger.warning("duplicate: %d documents have the GUID %r", count, name)
        if count != 1:
            raise not_found(name, f"{count} documents")
        try:
            document = parse(name, data)
        except ValueError as error:
            self._logger.warning("the document of the GUID %r can't be used: %s", name, error)
            raise not_found(name, str(error)) from None
        await self._check_access(document)
        return document

    async def guids(self, asset_id: str) -> tuple[int, str | None]:
        """How many documents have an old asset id, and the GUID of one of them.

        Raises:
            ServiceUnavailable: that can't be told at the moment.
        """
        try:
            count, data = await self._index.search("old_asset_id", asset_id)
        except CatalogueFailed as error:
            raise self._complaints.unavailable("es", asset_id, str(error)) from error
        guid = data.get("guid")
        return count, guid if isinstance(guid, str) and guid else None

    @asynccontextmanager
    async def open(
        self, document: Document, file: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See :meth:`Origin.open`; what the store does not have, the DAMS may."""
        failure = partial(self._complaints.unavailable, "mss_direct", document.name)
        async with self._mss.get(self._url(document, file), failure, headers) as response:
            if response.status != 404:
                if why := problem(response):
                    raise failure(why)
                yield response
                return
        url = await self._dams_url(document)
        failure = partial(self._complaints.unavailable, "dams", document.name)
        async with self._dams.get(url, failure, headers) as response:
            if why := problem(response):
                raise failure(why)
            yield response

    async def status(self) -> dict[str, Any]:
        """See :meth:`Origin.status`."""
        es, mss = await asyncio.gather(
            measured(self._cluster), measured(partial(read_status, self._mss, f"{self._base}/status"))
        )
        return {"es": es, "mss_status": mss}

    async def close(self) -> None:
        """See :meth:`Origin.close`."""
        await self._index.close()
        await self._mss.close()
        await self._dams.close()

    async def _cluster(self) -> dict[str, Any]:
        return {"status": await self._index.health()}

    async def _check_access(self, document: Document) -> None:
        """Ask whether an image may be shown; an outage is no answer to that."""
        failure = partial(self._complaints.unavailable, "mss_access", document.name)
        async with self._mss.get(self._url(document), failure, timeout=QUICK) as response:
            status = response.status
        if status >= 500 or status in _NOT_NOW:
            raise failure(f"{response.url}: {status}")
        if status >= 400:
            raise not_found(document.name, f"{response.url}: {status}")

    async def _dams_url(self, document: Document) -> URL:
        """Where the DAMS has the original."""
        failure = partial(self._complaints.unavailable, "mss_indirect", document.name)
        async with self._mss.get(self._url(document, "damsurl"), failure, timeout=QUICK) as response:
            if response.status != 200:
                raise failure(f"{response.url}: {response.status}")
            text = (await response.content.read(_LONGEST_URL)).decode("utf-8", "replace").strip()
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise failure(f"{response.url}: {text[:200]!r} is no address")
        return url

    def _url(self, document: Document, *parts: str) -> URL:
        path = "/".join(quote(part, safe="") for part in (document.irn, *parts))
        return URL(f"{self._base}/{path}", encoded=True)

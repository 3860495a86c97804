"""Where images come from: what the profile asks of either form of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import aiohttp

from iiif_server_mss.documents import Document


class Origin(Protocol):
    """Finds images, and opens their files."""

    async def find(self, name: str) -> Document:
        """Look an image up, and whether it may be shown.

        Raises:
            ImageNotFound: there is none, or it may not be shown.
            ServiceUnavailable: that can't be told at the moment.
        """
        ...

    def open(
        self, document: Document, file: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask for a file of an image: ``async with origin.open(document, file) as response``.

        Raises:
            ImageNotFound: there is none.
            ServiceUnavailable: it can't be had at the moment; also if reading the answer fails.
        """
        ...

    async def status(self) -> dict[str, Any]:
        """How the services are."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...

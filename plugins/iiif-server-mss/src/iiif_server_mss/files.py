"""Files of images: fetched once for everybody, and kept for a while."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final

from iiif_server.api import Fetched, SourceStore, SourceWriter, StoredSource

from iiif_server_mss.documents import Document
from iiif_server_mss.options import MssOptions
from iiif_server_mss.origin import Origin
from iiif_server_mss.web import FIRST_BYTE, Stamp, stamp

_CHUNK: Final = 1 << 16
"""Bytes that are taken over at a time. All that have come would be in memory twice while they are joined."""


class Files:
    """The files of a profile.

    A file is kept under what its bytes follow from, so that another version of it is another entry.

    Args:
        origin: where files come from.
        directory: where they are kept.
        options: of the profile.
        max_source_bytes: what one may have.
        logger: is told of trouble.
    """

    def __init__(
        self,
        origin: Origin,
        directory: Path,
        options: MssOptions,
        *,
        max_source_bytes: int,
        logger: logging.Logger,
    ) -> None:
        self._origin = origin
        self.store = SourceStore(
            directory,
            options.source_cache_size,
            max_source_bytes=max_source_bytes,
            ttl=options.source_cache_ttl,
            name_of=_name_of,
            logger=logger,
        )

    async def stamp(self, document: Document) -> Stamp:
        """What the origin tells of an original now."""
        async with self._origin.open(document, document.file, FIRST_BYTE) as response:
            return stamp(response)

    def lease(
        self, document: Document, file: str, content: str | None, *, max_age: float | None = None
    ) -> AbstractAsyncContextManager[StoredSource]:
        """Lend a file, fetched if it is not there.

        Args:
            document: of the image.
            file: one of its files.
            content: what is known of the original's bytes: the digest of its stamp.
            max_age: seconds for which what is there is good enough; ``None`` for ever.
        """
        return self.store.lease(
            _key(document, file, content), partial(self._fetch, document, file), max_age=max_age
        )

    async def is_kept(self, document: Document, content: str | None) -> bool:
        """Whether the original is there."""
        return await self.store.stored(_key(document, document.file, content)) is not None

    async def stream(self, document: Document, chunk_size: int) -> AsyncIterator[bytes]:
        """An original's bytes as they come from the origin, without keeping them."""
        async with self._origin.open(document, document.file) as response:
            async for chunk in response.content.iter_chunked(chunk_size):
                yield chunk

    async def keys_by_name(self) -> dict[str, list[str]]:
        """What is kept, by the images' names."""
        found: dict[str, list[str]] = {}
        async for key in self.store.stored_keys():
            found.setdefault(_name_of(key), []).append(key)
        return found

    async def forget(self, key: str) -> None:
        """Remove a file, once it is lent to nobody."""
        await self.store.forget(key)

    def statistics(self) -> dict[str, int]:
        """See :meth:`SourceStore.statistics`."""
        return self.store.statistics()

    async def close(self) -> None:
        """See :meth:`SourceStore.close`."""
        await self.store.close()

    async def _fetch(
        self, document: Document, file: str, writer: SourceWriter, previous: StoredSource | None
    ) -> Fetched:
        del previous
        async with self._origin.open(document, file) as response:
            seen = stamp(response)
            await writer.expect(response.content_length or 0)
            async for chunk in response.content.iter_chunked(_CHUNK):
                await writer.write(chunk)
        return Fetched(version=seen.digest, media_type=seen.media_type, modified=seen.modified)


def _key(document: Document, file: str, content: str | None) -> str:
    return json.dumps([document.name, document.irn, file, content])


def _name_of(key: str) -> str:
    name: str = json.loads(key)[0]
    return name

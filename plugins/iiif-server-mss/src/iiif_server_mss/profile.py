"""The profile: what the server asks, answered by look-ups and files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiofiles
from iiif_server.api import (
    Dimensions,
    ImageInfo,
    Profile,
    ProfileContext,
    SourceProperties,
    SourceStore,
    StoredSource,
)
from lru import LRU

from iiif_server_mss.errors import RETRY_AFTER, Complaints, ServiceUnavailable, not_found
from iiif_server_mss.files import Files
from iiif_server_mss.images import Image
from iiif_server_mss.lookups import Lookups
from iiif_server_mss.museum import Museum
from iiif_server_mss.options import MssOptions
from iiif_server_mss.origin import Origin
from iiif_server_mss.plain import Plain
from iiif_server_mss.recheck import Recheck

_LONGEST_NAME = 256
_CORRECTIONS = 10_000


class MssProfile(Profile[MssOptions]):
    """Images of the museum's media store by their GUIDs, or images behind a plain address.

    Attributes:
        museum: the services, in the form that has them.
    """

    def __init__(self, context: ProfileContext, options: MssOptions) -> None:
        super().__init__(context, options)
        logger = context.logger
        self._complaints = Complaints()
        self.museum = None if options.url else Museum(options, self._complaints, logger)
        self._origin: Origin = self.museum or Plain(options, self._complaints)
        self._files = Files(
            self._origin,
            context.source_path,
            options,
            max_source_bytes=context.max_source_bytes,
            logger=logger,
        )
        self._lookups = Lookups(
            self._look_up, options.info_cache_size, options.info_cache_ttl, options.info_lock_ttl
        )
        self._recheck = Recheck(self._lookups, self._files, options.recheck_interval, logger)
        # What the catalogue says is wrong of them: the properties of originals, by name and content.
        self._corrections: LRU[tuple[str, str], SourceProperties] = LRU(_CORRECTIONS)

    @property
    def sources(self) -> SourceStore:
        """See :class:`KeepsSources`."""
        return self._files.store

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`; afresh once in ``info_cache_ttl`` seconds."""
        return (await self._find(name)).info

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`: the smallest derivative that is large enough, or the original.

        If a file turns out to be another than was expected, the next look-up tells so, which the server asks
        for after each rendering.
        """
        image = await self._find(info.name)
        document = image.document
        # Of another size is another page, of which there are no derivatives.
        file = document.file_for(image.size, size_hint) if info.size == image.size else document.file
        if file != document.file:
            async with self._files.lease(document, file, image.stamp.digest) as stored:
                if await self._suits(stored, image.size, size_hint):
                    yield stored.path
                    return
        async with self._files.lease(document, document.file, image.stamp.digest) as stored:
            await self._compare(image, stored)
            yield stored.path

    async def resolve_filename(self, name: str) -> str:
        """See :meth:`Profile.resolve_filename`: the document's ``file``."""
        file = (await self._find(name)).document.file.replace("\\", "/").rpartition("/")[2]
        return "".join(c for c in file if c.isprintable()).strip(".") or "original"

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`; fetches the file if its size is not told beforehand."""
        image = await self._find(name)
        if image.bytes is not None:
            return image.bytes
        async with self._files.lease(image.document, image.document.file, image.stamp.digest) as stored:
            return stored.size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """See :meth:`Profile.stream_original`; what is not kept comes straight from the store."""
        image = await self._find(name)
        document, content = image.document, image.stamp.digest
        if image.bytes is not None and not await self._files.is_kept(document, content):
            async for chunk in self._files.stream(document, chunk_size):
                yield chunk
            return
        async with (
            self._files.lease(document, document.file, content) as stored,
            aiofiles.open(stored.path, "rb") as file,
        ):
            while chunk := await file.read(chunk_size):
                yield chunk

    async def get_status(self) -> dict[str, Any]:
        """See :meth:`Profile.get_status`."""
        return {
            "source_cache": self._files.statistics(),
            "error_breakdown": dict(self._complaints.by_stage),
            "info_cache": len(self._lookups),
            **await self._origin.status(),
        }

    async def open(self) -> None:
        """See :meth:`Profile.open`."""
        self._recheck.start()

    async def close(self) -> None:
        """See :meth:`Profile.close`."""
        await self._recheck.close()
        await self._lookups.close()
        await self._files.close()
        await self._origin.close()

    async def _find(self, name: str) -> Image:
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise not_found(name, "no image can have this name")
        try:
            image = await self._lookups.get(name)
        except TimeoutError:
            raise ServiceUnavailable(
                "A timeout occurred, please try again",
                log=f"looking {name!r} up took longer than {self.options.info_lock_ttl:g} s",
                retry_after=RETRY_AFTER,
            ) from None
        seen = self._corrections.get((name, image.content))
        return image if seen is None else replace(image, size=seen.size, seen=seen)

    async def _look_up(self, name: str) -> Image:
        """Ask everybody. The original is fetched only if nobody tells its size, or what its bytes are."""
        document = await self._origin.find(name)
        stamp = await self._files.stamp(document)
        told = stamp.digest is not None and document.size is not None
        if told and not await self._files.is_kept(document, stamp.digest):
            assert stamp.digest is not None
            assert document.size is not None
            return Image(document, stamp, stamp.digest, document.size, stamp.size)
        max_age = None if stamp.digest is not None else 0.0
        async with self._files.lease(document, document.file, stamp.digest, max_age=max_age) as stored:
            seen = await self.context.probe(stored.path, stored.version)
            return Image(document, stamp, stamp.digest or stored.version, seen.size, stored.size, seen)

    async def _suits(self, stored: StoredSource, size: Dimensions, hint: Dimensions | None) -> bool:
        """Whether a derivative is what the catalogue says: as large, and the same way up as the image."""
        seen = (await self.context.probe(stored.path, stored.version)).size
        target = hint or size
        large_enough = (
            target.width <= seen.width <= size.width and target.height <= seen.height <= size.height
        )
        # Its sides are rounded to whole pixels.
        skewed = abs(seen.width * size.height - seen.height * size.width) > max(size) * 2
        if not large_enough or skewed:
            self.context.logger.warning(
                "%s: a derivative of %dx%d pixels does not fit to %dx%d", stored.key, *seen, *size
            )
        return large_enough and not skewed

    async def _compare(self, image: Image, stored: StoredSource) -> None:
        """Note what the original says otherwise than the look-up did."""
        name = image.document.name
        if stored.version != image.content:
            self._lookups.forget(name)
            return
        seen = await self.context.probe(stored.path, stored.version)
        if seen.size != image.size:
            self._corrections[name, image.content] = seen
            self.context.logger.warning(
                "the document of %r tells a size of %dx%d, its original has %dx%d",
                name,
                *image.size,
                *seen.size,
            )

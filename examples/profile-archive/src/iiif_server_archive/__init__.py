"""A profile whose images are fetched from an archive's web server, and kept for a while."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiofiles
import aiohttp
from pydantic import Field

from iiif_server.api import (
    ByteSize,
    Dimensions,
    Fetched,
    IIIFServerError,
    ImageInfo,
    ImageNotFound,
    NotModified,
    Profile,
    ProfileContext,
    ProfileOptions,
    ProfileType,
    SourceStore,
    SourceWriter,
    StoredSource,
    hookimpl,
)


class ArchiveOptions(ProfileOptions):
    """Options of an ``archive`` profile."""

    base_url: str = Field(description="Where the images are: `<base_url>/<name>`.")
    cache_size: ByteSize = Field(default=1 << 30, description="What fetched images may take on disk.")
    check_after: float = Field(
        default=600, ge=0, description="Seconds after which the archive is asked whether an image changed."
    )


class ArchiveFailed(IIIFServerError):
    """The archive does not answer as it should."""

    status = 502


class ArchiveProfile(Profile[ArchiveOptions]):
    """Serves the images of one web server; an image's name is its path there."""

    def __init__(self, context: ProfileContext, options: ArchiveOptions) -> None:
        super().__init__(context, options)
        self._store = SourceStore(
            context.cache_path / "sources",
            options.cache_size,
            max_source_bytes=context.max_source_bytes,
            failure_ttl=2,
            logger=context.logger,
        )

    @property
    def sources(self) -> SourceStore:
        """See :class:`KeepsSources`."""
        return self._store

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`."""
        async with self._lease(name, self.options.check_after) as stored:
            seen = await self.context.probe(stored.path, stored.version)
        return ImageInfo.of(name, stored.version, seen, modified=stored.modified)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`; whether it changed was checked by :meth:`get_info`."""
        del size_hint  # the archive has one file of each image
        async with self._lease(info.name, max_age=None) as stored:
            yield stored.path

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`."""
        async with self._lease(name, self.options.check_after) as stored:
            return stored.size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """See :meth:`Profile.stream_original`."""
        async with (
            self._lease(name, self.options.check_after) as stored,
            aiofiles.open(stored.path, "rb") as file,
        ):
            while chunk := await file.read(chunk_size):
                yield chunk

    async def get_status(self) -> dict[str, Any]:
        """See :meth:`Profile.get_status`."""
        return {"sources": self._store.statistics()}

    async def open(self) -> None:
        """See :meth:`Profile.open`."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30, sock_read=10))

    async def close(self) -> None:
        """See :meth:`Profile.close`."""
        await self._store.close()
        await self._session.close()

    def _lease(self, name: str, max_age: float | None) -> AbstractAsyncContextManager[StoredSource]:
        fetch = partial(self._fetch, name)
        return self._store.lease(name, fetch, max_age=max_age, stale_if_error=ArchiveFailed)

    async def _fetch(
        self, name: str, writer: SourceWriter, previous: StoredSource | None
    ) -> Fetched | NotModified:
        headers = {}
        if previous is not None and "ETag" in previous.notes:
            headers["If-None-Match"] = previous.notes["ETag"]
        if not name.isprintable() or {"", ".", ".."} & set(name.split("/")):
            raise ImageNotFound(log=f"{name!r} is no name, or would lead out of the base URL")
        url = f"{self.options.base_url}/{quote(name)}"
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == 304:
                    return NotModified()
                if response.status in {404, 410}:
                    raise ImageNotFound(log=f"{url}: {response.status}")
                if response.status != 200 or not response.content_type.startswith("image/"):
                    raise ArchiveFailed(
                        "The archive does not hand out this image.",
                        log=f"{url}: {response.status}, {response.content_type}",
                    )
                await writer.expect(response.content_length or 0)
                async for chunk in response.content.iter_chunked(65_536):
                    await writer.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ArchiveFailed("The archive does not answer.", log=f"{url}: {error!r}") from error
        # Without a version of the archive's own, a digest of the bytes tells whether they changed.
        return Fetched(notes={"ETag": response.headers["ETag"]} if "ETag" in response.headers else {})


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``archive``."""
    return [ProfileType("archive", ArchiveOptions, ArchiveProfile)]

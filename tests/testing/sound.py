"""A profile that keeps every promise, with a step for everything that a broken one does otherwise."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field

from iiif_server.api import (
    Dimensions,
    ImageInfo,
    ImageNotFound,
    Profile,
    ProfileOptions,
)


class SoundOptions(ProfileOptions):
    folder: Path = Field(description="Where the images are.", examples=["/srv/images"])


class SoundProfile(Profile[SoundOptions]):
    """The files of one folder."""

    async def get_info(self, name: str) -> ImageInfo:
        path = await self.find(name)
        version = await self.version(path)
        seen = await self.context.probe(path, version)
        return ImageInfo(name, seen.width, seen.height, version)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        yield await self.find(info.name)

    async def resolve_original_size(self, name: str) -> int:
        return (await asyncio.to_thread((await self.find(name)).stat)).st_size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        path = await self.find(name)
        with await asyncio.to_thread(path.open, "rb") as file:  # closed at once, even where it is cancelled
            while piece := await asyncio.to_thread(file.read, chunk_size):
                yield piece

    @asynccontextmanager
    async def use_original(self, name: str) -> AsyncIterator[Path]:
        yield await self.find(name)

    async def list_names(self, after: str | None, limit: int) -> Sequence[str]:
        names = await asyncio.to_thread(os.listdir, self.options.folder)
        return sorted(name for name in names if name.endswith(".tif") and name > (after or ""))[:limit]

    async def find(self, name: str) -> Path:
        if name not in await asyncio.to_thread(os.listdir, self.options.folder):
            raise ImageNotFound
        return self.options.folder / name

    async def version(self, path: Path) -> str:
        status = await asyncio.to_thread(path.stat)
        return f"{status.st_mtime_ns}-{status.st_size}"

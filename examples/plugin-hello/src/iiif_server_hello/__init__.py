"""The profile type ``hello``: images that the configuration names one by one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiofiles
from pydantic import Field

from iiif_server.api import (
    Dimensions,
    ImageInfo,
    ImageNotFound,
    Profile,
    ProfileOptions,
    ProfileType,
    hookimpl,
)


class HelloOptions(ProfileOptions):
    """The keys of a ``hello`` profile in the configuration, besides those of every profile."""

    images: dict[str, Path] = Field(
        description="The file of each image, by the image's name.",
        examples=[{"greeting": "pictures/greeting.png"}],
    )


class HelloProfile(Profile[HelloOptions]):
    """Finds an image's file by its name, and tells the server what it needs to know of it."""

    async def get_info(self, name: str) -> ImageInfo:
        """What is known of an image. The version is another one as soon as the file is."""
        path, status = await self._find(name)
        version = f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
        seen = await self.context.probe(path, version)
        return ImageInfo(
            name,
            seen.width,
            seen.height,
            version,
            modified=status.st_mtime,
            media_type=seen.media_type,
            has_color=seen.has_color,
        )

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """Lend the file to a worker; a store that is not made of files fetches it first."""
        path, _ = await self._find(info.name)
        yield path

    async def resolve_original_size(self, name: str) -> int:
        """The file's size in bytes."""
        _, status = await self._find(name)
        return status.st_size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """The file's bytes, piece by piece."""
        path, _ = await self._find(name)
        async with aiofiles.open(path, "rb") as file:
            while piece := await file.read(chunk_size):
                yield piece

    async def _find(self, name: str) -> tuple[Path, os.stat_result]:
        """An image's file. A file system can keep one waiting, so it is asked in a thread."""
        try:
            path = await asyncio.to_thread(self.options.images[name].resolve, strict=True)
            return path, await asyncio.to_thread(path.stat)
        except (KeyError, OSError) as error:
            raise ImageNotFound("There is no image of this name.", log=f"{name!r}: {error!r}") from None


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Tell the server of the profile type."""
    return [ProfileType("hello", HelloOptions, HelloProfile)]

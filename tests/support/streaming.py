"""A profile that lends nothing: its originals come as streams, and go wrong as their names say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from iiif_server.api import Dimensions, ImageInfo, ImageNotFound, Profile, ProfileOptions, ProfileType

FAILURES = ("short", "long", "breaking", "dropping", "stuck", "missing", "refusing")


class StreamingOptions(ProfileOptions):
    folder: Path = Field(description="Where the images are.")


class StreamingProfile(Profile[StreamingOptions]):
    """The files of one folder.

    Of a file whose name begins with ``short``, more bytes are promised than there are, of ``long`` fewer.
    ``breaking`` raises after its second piece, ``dropping`` loses its connection there, ``stuck`` waits there
    for ever. ``missing`` is known and can't be opened; for ``refusing``, the connection fails at once.
    """

    open_streams: ClassVar[int] = 0

    async def get_info(self, name: str) -> ImageInfo:
        path = await asyncio.to_thread(self._find, name)
        status = await asyncio.to_thread(path.stat)
        version = f"{status.st_mtime_ns}-{status.st_size}"
        return ImageInfo.of(name, version, await self.context.probe(path, version), modified=status.st_mtime)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        yield await asyncio.to_thread(self._find, info.name)

    async def resolve_original_size(self, name: str) -> int:
        path = await asyncio.to_thread(self._find, name)
        size = (await asyncio.to_thread(path.stat)).st_size
        return size + name.startswith("short") - name.startswith("long")

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        path = await asyncio.to_thread(self._find, name)
        if name.startswith("missing"):
            raise ImageNotFound
        if name.startswith("refusing"):
            raise ConnectionRefusedError("secret")
        StreamingProfile.open_streams += 1
        try:
            # Closed at once: a close that waits for a thread does not take place where it is cancelled.
            with await asyncio.to_thread(path.open, "rb") as file:
                count = 0
                while piece := await asyncio.to_thread(file.read, chunk_size):
                    if count == 2 and name.startswith("breaking"):
                        raise RuntimeError("the store broke")
                    if count == 2 and name.startswith("dropping"):
                        raise ConnectionResetError("secret")
                    if count == 2 and name.startswith("stuck"):
                        await asyncio.Event().wait()
                    yield piece
                    count += 1
        finally:
            StreamingProfile.open_streams -= 1

    def _find(self, name: str) -> Path:
        path = self.options.folder / name
        if "/" in name or not path.is_file():
            raise ImageNotFound
        return path


STREAMING = ProfileType("streaming", StreamingOptions, StreamingProfile)

"""A profile whose images are drawn on demand: ``<width>x<height>`` names a plain image of that size."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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


class DemoOptions(ProfileOptions):
    """Options of the ``demo`` type."""

    shade: int = Field(default=128, ge=0, le=255, description="The gray that every pixel has.")


class DemoProfile(Profile[DemoOptions]):
    """Draws PGM-like BMP files below its cache path."""

    async def get_info(self, name: str) -> ImageInfo:
        match = re.fullmatch(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", name)
        if match is None:
            raise ImageNotFound("There is no such size.")
        return ImageInfo(name, int(match[1]), int(match[2]), f"shade-{self.options.shade}", has_color=False)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        path = self.context.cache_path / f"{info.name}.png"
        # Small and made once: a real profile would leave writing to a thread.
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_png(info.width, info.height, self.options.shade))
        yield path

    async def resolve_original_size(self, name: str) -> int:
        info = await self.get_info(name)
        return len(_png(info.width, info.height, self.options.shade))

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        info = await self.get_info(name)
        content = _png(info.width, info.height, self.options.shade)
        for start in range(0, len(content), chunk_size):
            yield content[start : start + chunk_size]


def _png(width: int, height: int, shade: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([shade]) * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``demo``."""
    return [ProfileType("demo", DemoOptions, DemoProfile)]

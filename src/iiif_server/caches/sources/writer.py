"""Where a fetch writes the bytes of a source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from iiif_server.caches.sources.part import Part
from iiif_server.errors import SourceTooLarge

PIECE: Final = 1 << 18
"""Small chunks are put together to this many bytes: each trip to the disk costs the time of many of them."""


class SourceWriter:
    """Takes the bytes of a source from the fetch that was given it, until that returns.

    Args:
        part: the file.
        max_bytes: what a source may have.
        run: calls a function in a thread.
    """

    def __init__(self, part: Part, max_bytes: int, run: Callable[..., Awaitable[Any]]) -> None:
        self._part = part
        self._max_bytes = max_bytes
        self._run = run
        self._buffer = bytearray()
        self._size = 0

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return self._size

    async def expect(self, size: int) -> None:
        """Tell the size beforehand, where it is known.

        Room is made once, and a source that is too large is refused before it is transferred. It is a hint: a
        fetch checks by itself that it got all bytes.

        Raises:
            SourceTooLarge: it exceeds the store's ``max_source_bytes``.
        """
        self._check(size)
        if size > 0:
            await self._run(self._part.expect, size)

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Write bytes behind those before.

        Raises:
            SourceTooLarge: the source exceeds the store's ``max_source_bytes``.
            ServerBusy: there is no room on any disk.
        """
        self._check(self._size + len(chunk))
        self._buffer += chunk
        self._size += len(chunk)
        if len(self._buffer) >= PIECE:
            await self.flush()

    async def hand_over(self, size: int) -> Path:
        """Let another process write the file, instead of :meth:`write`: where it is, with so much room.

        When that process has ended its work, :meth:`take_back` tells how much it wrote. If the fetch ends
        before, the file loses its name.

        Raises:
            SourceTooLarge: it exceeds the store's ``max_source_bytes``.
            ServerBusy: the store has no room for it.
        """
        self._check(size)
        path: Path = await self._run(self._part.hand_over, size)
        return path

    async def take_back(self, size: int) -> None:
        """Count the bytes that another process wrote from the file's start."""
        await self._run(self._part.take_back, size)
        self._size = size

    async def flush(self) -> None:
        """Hand over what was put together. The store does this at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, bytearray()
            await self._run(self._part.append, data)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise SourceTooLarge(
                "The source file has more bytes than this server reads.",
                log=f"a source of {size} bytes or more: at most {self._max_bytes} are fetched",
            )

"""What a cache hands out: a finished image, as bytes or as a stretch of an open file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from io import FileIO
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A body that is read from an open file, so that eviction can't pull it away from under a response.

    Attributes:
        file: open for reading; its position is nobody's, so read with an offset (``sendfile``, ``pread``).
        offset: where the body starts.
        length: of the body, in bytes.
    """

    file: FileIO
    offset: int
    length: int

    def read(self) -> bytes:
        """The whole body. Reads the disk: not on the event loop."""
        pieces = []
        position, end = self.offset, self.offset + self.length
        while position < end and (piece := os.pread(self.file.fileno(), end - position, position)):
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)

    async def pieces(self, size: int) -> AsyncGenerator[bytes]:
        """The body in pieces of at most ``size`` bytes, read in threads; not all if the file got shorter."""
        position, end = self.offset, self.offset + self.length
        while position < end:
            piece = await asyncio.to_thread(os.pread, self.file.fileno(), min(size, end - position), position)
            if not piece:
                return
            yield piece
            position += len(piece)

    def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        self.file.close()


@dataclass(frozen=True, slots=True)
class Derivative:
    """A finished image; close it (or use it in ``with``) once the response is done.

    Attributes:
        body: bytes, or for large ones a stretch of an open file.
        length: of the body, in bytes.
    """

    body: bytes | FileSlice
    length: int

    @classmethod
    def of(cls, body: bytes) -> Self:
        """A derivative that is in memory."""
        return cls(body, len(body))

    def close(self) -> None:
        """Let go of the open file, if there is one."""
        if isinstance(self.body, FileSlice):
            self.body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class DerivativeStore(Protocol):
    """A cache tier behind memory: the disk, or something shared that a plugin brings.

    No method raises when the storage fails: a ``get`` is a miss then, a ``put`` is dropped.
    """

    async def get(self, key: str) -> Derivative | None:
        """The whole, checked derivative, which the caller closes; or ``None``."""

    async def put(self, key: str, body: bytes) -> None:
        """Keep a derivative, replacing one of the same key as a whole."""

    async def claim(self, key: str) -> int | None:
        """The right to make what is missing, if others who use this store might make it, too; or ``None``."""

    def release(self, key: str, claim: int) -> None:
        """Give up a right, once the derivative was put or will not be."""

    async def close(self) -> None:
        """Finish what is under way and let go of every resource."""

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name, without I/O."""

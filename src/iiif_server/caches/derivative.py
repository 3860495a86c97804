"""What a cache hands out: a finished image, as bytes or as a stretch of an open file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from io import FileIO
from typing import Protocol, Self


@dataclass(slots=True)
class FileSlice:
    """A body that is read from an open file, so that eviction can't pull it away from under a response.

    Attributes:
        file: open for reading; its position is nobody's, so read with an offset (``sendfile``, ``pread``).
        offset: where the body starts.
        length: of the body, in bytes.
        users: how many will close it.
    """

    file: FileIO
    offset: int
    length: int
    users: int = 1

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
        """Let go of the file; the last user closes it. What is closed stays so."""
        self.users -= 1
        if self.users <= 0:
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

    def share(self) -> None:
        """Have one more user, who closes it as well."""
        if isinstance(self.body, FileSlice):
            self.body.users += 1

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

    No method raises when the storage fails: nothing is found then, a ``put`` is dropped.
    """

    async def holds(self, key: str) -> bool:
        """Whether there is something under a key; no if that can't be told. Hundreds a second may ask."""

    async def put(self, key: str, body: bytes) -> None:
        """Keep a derivative, replacing one of the same key as a whole; gives up a right to make it."""

    async def find(self, key: str) -> Derivative | None:
        """The whole, checked derivative, which the caller closes. A miss does not count."""

    async def claim(self, key: str) -> Derivative | bool:
        """The right to make what was not found; or the derivative, if somebody else has made it meanwhile.

        ``False`` if nobody else might make it, too, or no right is to be had: it is then made without.
        """

    def release(self, key: str) -> None:
        """Give up a right, as the derivative will not be put."""

    async def close(self) -> None:
        """Finish what is under way and let go of every resource."""

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name, without I/O."""

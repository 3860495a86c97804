"""The bytes of a stored file: an open local one, or a stream of it that has begun."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from iiif_server.caches.derivative import FileSlice
from iiif_server.errors import ImageNotFound, ServerBusy, UpstreamFailed
from iiif_server.imaging.source_formats import START

_FILE_PIECE: Final = 256 << 10
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream of a stored file, which has begun.

    Attributes:
        start: what has come of it: at least the bytes that a format is recognised by, if it has so many.
        rest: what follows.
        length: of all of it, in bytes, as its profile tells.
    """

    start: bytes
    rest: AsyncIterator[bytes]
    length: int

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The whole stream. Its last piece comes only when it is certain that it is the last one.

        So whoever gets as many bytes as were promised has the whole file.

        Raises:
            UpstreamFailed: there are more bytes than :attr:`length`, or fewer.
        """
        held, total = self.start, len(self.start)
        async for piece in self.rest:
            total += len(piece)
            if total > self.length:
                break
            if held:
                yield held
            held = piece
        if total != self.length:
            found = "more" if total > self.length else str(total)
            raise UpstreamFailed(
                "The stored file has another length than it should have.",
                log=f"a stream of {self.length} bytes by its profile's word has {found}",
            )
        if held:
            yield held


Body = FileSlice | Streamed


def pieces_of(body: Body) -> AsyncGenerator[bytes]:
    """All bytes, in pieces of at most 256 KiB if it is a file; to be closed by whoever takes them."""
    return body.pieces(_FILE_PIECE) if isinstance(body, FileSlice) else body.pieces()


async def open_stored(path: Path) -> FileSlice:
    """Open a local file, all of it, in a thread.

    Raises:
        ImageNotFound: it is no regular file, or may not be read.
        ServerBusy: too many files are open.
    """
    opening = asyncio.get_running_loop().run_in_executor(None, _open, path)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)  # the thread may just have opened it
        raise


@asynccontextmanager
async def begun(stream: AsyncIterator[bytes], length: int) -> AsyncIterator[Streamed]:
    """Read the start of a profile's stream; the stream is closed in the end, however that comes."""
    try:
        async with aclosing(_reading(stream)) as pieces:
            start = b""
            async for piece in pieces:
                start += piece
                if len(start) >= START:
                    break
            yield Streamed(start, pieces, length)
    finally:
        if isinstance(stream, AsyncGenerator):  # what else a profile may return has nothing to be closed
            await stream.aclose()


async def _reading(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """What comes of a stream, whose broken connection is not taken for that of the client."""
    try:
        async for piece in stream:
            yield piece
    except ConnectionError as error:
        raise UpstreamFailed("The store of this file broke the connection.", log=repr(error)) from error


def _open(path: Path) -> FileSlice:
    try:
        # No link in the last place, no waiting for a pipe's writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise ServerBusy(
                "The server is busy; try again in a moment.", log=str(error), retry_after=2
            ) from None
        raise ImageNotFound(log=f"the original can't be opened: {error}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ImageNotFound(log=f"the original {str(path)!r} is no regular file")
    return FileSlice(FileIO(descriptor), 0, status.st_size)


def _close_unwanted(opening: asyncio.Future[FileSlice]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()

"""Read a stretch of a file on the event loop if it is in memory, else in a thread."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import NamedTuple

_SMALL = 1 << 20
"""More bytes than this are copied in a thread, whether they are in memory or not."""

_TIMEOUT = 10.0
"""Seconds that a disk may take."""

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _State(NamedTuple):
    """What changes when a file's bytes do, or when another file takes its name."""

    modified: int
    changed: int
    size: int


class SourceReader:
    """A file that is read from anywhere. It is closed when nobody holds it any more, a thread included.

    Opening it reads the disk: not on the event loop.

    Args:
        path: absolute, of a regular file; a link at its end is not followed.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = -1
        self._descriptor = os.open(path, _FLAGS)
        self._state = self._look()

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    async def read(self, offset: int, count: int) -> bytes | memoryview | None:
        """Bytes of the file as it was opened; ``None`` if it has changed, ends before, or takes too long.

        Use them before the event loop's next turn: the memory is used for the next read.
        """
        if count <= _SMALL and (data := self.read_at_once(offset, count)) is not None:
            return data
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await asyncio.to_thread(self._read_waiting, offset, count)
        except (OSError, OverflowError, TimeoutError):  # no file goes on beyond 2⁶³ bytes
            return None

    def read_at_once(self, offset: int, count: int) -> memoryview | None:
        """The same of what is in the page cache; it never waits, so it may be called on the event loop.

        ``None`` as well on a file system that can't tell, as most networked ones.
        """
        if _NOWAIT is None:
            return None
        buffer = _buffer()[:count]
        try:
            if os.preadv(self._descriptor, (buffer,), offset, _NOWAIT) < count:
                return None
        except (OSError, OverflowError):
            return None
        return buffer if self._look() == self._state else None

    def _read_waiting(self, offset: int, count: int) -> bytes | None:
        data = os.pread(self._descriptor, count, offset)
        return data if len(data) == count and self._look() == self._state else None

    def _look(self) -> _State:
        status = os.fstat(self._descriptor)
        return _State(status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@cache
def _buffer() -> memoryview:
    """Where reads of one turn of the event loop go, so that none of them takes new memory."""
    return memoryview(bytearray(_SMALL))

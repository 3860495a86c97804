"""The right to make a derivative: one process at a time, where several share a cache."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from contextlib import suppress
from threading import Lock
from typing import Final

from iiif_server.caches.directory import CLAIMS, CacheDirectory
from iiif_server.caches.locks import is_in_place

_LOOK_SECONDS: Final = 1.0
_DIGITS: Final = 15
"""So many digits of a key make the place of its byte: 60 bits, of the 63 that an offset has."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)  # Linux


class Claims:
    """Rights are locks on single bytes of one file, which stays empty: a key says which byte is its own.

    So a right costs a system call, and nothing is left on the disk by one that was given up or whose owner
    was killed. Synchronous, for threads.

    Args:
        directory: that the processes share.
    """

    def __init__(self, directory: CacheDirectory) -> None:
        self._directory = directory
        self._path = directory.path / CLAIMS
        self._opening = Lock()
        self._fd: int | None = None
        self._looked = 0.0

    def take(self, key: str) -> bool:
        """Take the right to make a derivative; ``False`` while another process has it.

        Raises:
            ForeignDirectory: the directory is somebody else's.
            OSError: there are no rights to be had: a full or read-only disk, a file system without locks.
        """
        fd = self._open()
        try:
            _lock(fd, fcntl.F_WRLCK, key)
        except (BlockingIOError, PermissionError):  # POSIX leaves it open which
            return False
        return True

    def give_up(self, key: str) -> None:
        """Give up a right, if it was had."""
        if (fd := self._fd) is not None:
            with suppress(OSError):  # closed meanwhile
                _lock(fd, fcntl.F_UNLCK, key)

    def close(self) -> None:
        """Give up every right."""
        with self._opening:
            self._close()

    def _open(self) -> int:
        """The file's descriptor. One that was deleted is made anew; rights in it are then worth nothing."""
        with self._opening:
            now = time.monotonic()
            if self._fd is not None and now - self._looked > _LOOK_SECONDS:
                self._looked = now
                if not is_in_place(self._fd, str(self._path)):
                    self._close()
            if self._fd is None:
                self._directory.claim()
                self._fd, self._looked = os.open(self._path, _FLAGS, 0o640), now
            return self._fd

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _lock(fd: int, kind: int, key: str) -> None:
    """Lock or unlock a key's byte, without waiting.

    A lock belongs to the open file, as with ``flock``. Elsewhere than on Linux it belongs to the process,
    which is one that a cache of its own in the same process does not see.
    """
    place = int(key[:_DIGITS], 16)
    if _SET_LOCK is None:
        free = kind == fcntl.F_UNLCK
        fcntl.lockf(fd, fcntl.LOCK_UN if free else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    else:
        fcntl.fcntl(fd, _SET_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, place, 1, 0))

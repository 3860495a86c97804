"""Which processes use a directory at this moment, without anybody having to say so."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from iiif_server.caches.locks import is_in_place, open_shared, remove_unused

ROSTER: Final = "processes"
"""The directory, beside the leaves, in which each user of a cache has a file."""

UNKNOWN: Final = 2
"""The number of users that is assumed where files can't be made or locked."""

_COUNT_SECONDS = 1.0
_NAME = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Roster:
    """Every user of a directory has a file in it, and a lock on that, which ends with the process.

    Synchronous, for threads. It works whoever starts the processes: this server, gunicorn, an operator who
    starts two servers, or one application that takes over from another.

    Args:
        directory: whose users are counted.

    Attributes:
        users: how many there were at the last count, this one included.
    """

    def __init__(self, directory: Path) -> None:
        self.users = 1
        self._directory = directory / ROSTER
        self._own = self._directory / secrets.token_hex(8)
        self._fd: int | None = None
        self._seen = 0  # the directory's time at the last count
        self._counted = 0.0

    def enter(self) -> None:
        """Be counted from now on. Does nothing if that is so already."""
        try:
            if self._fd is not None:
                if is_in_place(self._fd, str(self._own)):
                    return
                self.leave()  # what cleans up old files was here
            with suppress(FileExistsError):
                self._directory.mkdir(mode=0o750)
            # Not open for writing, which would keep the file system from being remounted read-only. Another
            # user may clear the file away before it is locked; the next write tries again.
            self._own.touch(mode=0o640)
            self._fd = open_shared(str(self._own))
        except OSError:
            self.users = UNKNOWN
        else:
            self.count()

    def notice(self) -> None:
        """Count anew if somebody came or left, or a second has passed: one may have died. One system call."""
        with suppress(OSError):
            is_as_seen = os.stat(self._directory).st_mtime_ns == self._seen
            if is_as_seen and time.monotonic() - self._counted < _COUNT_SECONDS:
                return
        self.count()

    def count(self) -> int:
        """Count the users, and clear away the files of those that died.

        Takes some 10 µs, and as much again for each other user.
        """
        if self._fd is not None:
            try:
                self._seen, self._counted = os.stat(self._directory).st_mtime_ns, time.monotonic()
                names = [name for name in os.listdir(self._directory) if _NAME.fullmatch(name)]
                others = [name for name in names if name != self._own.name]
                self.users = 1 + sum(not remove_unused(f"{self._directory}/{name}") for name in others)
            except OSError:
                self.users = UNKNOWN
        return self.users

    def leave(self) -> None:
        """Be counted no more."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.unlink(self._own)
            os.close(fd)

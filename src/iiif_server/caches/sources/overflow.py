"""Sources that can't be kept: temporary files elsewhere, each for one fetch and its leases."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from iiif_server.caches.locks import create_locked, remove_unused

_NAME = re.compile(r"iiif-server-[0-9a-f]{16}\.source", re.ASCII)


class Overflow:
    """A directory for temporary files, which others may use as well.

    Args:
        path: the directory; ``None`` for the system's temporary directory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def create(self) -> tuple[int, Path]:
        """Make a file that only this user reads, locked as long as it is open.

        Raises:
            OSError: it can't be made.
        """
        while True:
            path = self._directory() / f"iiif-server-{secrets.token_hex(8)}.source"
            fd = create_locked(str(path), mode=0o600)
            if fd is not None:
                return fd, path

    def sweep(self) -> None:
        """Remove files that dead processes of this user left."""
        with suppress(OSError), os.scandir(self._directory()) as items:
            for item in items:
                if not _NAME.fullmatch(item.name):
                    continue
                with suppress(OSError):
                    status = item.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                        remove_unused(item.path)

    def _directory(self) -> Path:
        return self._path or Path(tempfile.gettempdir())


def discard(fd: int, path: Path) -> None:
    """Remove such a file and close it."""
    with suppress(OSError):
        os.unlink(path)
    os.close(fd)

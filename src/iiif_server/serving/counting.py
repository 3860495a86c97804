"""What the server processes count together: a directory for it, from the server's start to its end."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - files that are mapped need no disk
_PREFIX: Final = "iiif-server-counts-"
_OWNER: Final = "owner"


@contextmanager
def counting_directory() -> Iterator[Path | None]:
    """A new directory, removed at the end; ``None`` if there is no place for one.

    What servers that were killed have left behind is removed as well: nobody holds the lock in it any more.
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    try:
        _remove_abandoned(parent)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        owner = os.open(path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        logger.warning("each process counts by itself: no directory could be made in %s: %s", parent, error)
        yield None
        return
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(owner)


def end_of_process(directory: Path, process_id: int) -> None:
    """Keep what a process has counted that ended. Blocks."""
    # Loaded where it is needed: the process that keeps the others is to stay small.
    from iiif_server.telemetry.processes import process_ended

    try:
        process_ended(directory, process_id)
    except OSError as error:
        logger.warning("what server process %d has counted is lost: %s", process_id, error)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            owner = os.open(path / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(owner)

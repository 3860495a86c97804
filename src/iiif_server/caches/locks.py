"""Files that are locked while they are in use, by any process; a process that dies lets go of them.

Advisory ``flock`` locks: shared while a file is lent, exclusive while it is written or removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# O_NONBLOCK: opening a FIFO must not hang a thread. Read and write: network file systems lock no other way.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def try_lock(fd: int, kind: int) -> bool:
    """Lock an open file without waiting; ``kind`` is ``LOCK_SH`` or ``LOCK_EX``.

    Raises:
        OSError: the file system knows no locks.
    """
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_in_place(fd: int, name: str, directory: int | None = None) -> bool:
    """Tell whether the open file is still the one of this name: a lock on a deleted file protects nothing."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return False


def create_locked(name: str, directory: int | None = None, mode: int = 0o640) -> int | None:
    """Make a file, or take over one that a dead process left, under an exclusive lock.

    Returns:
        Its descriptor; ``None`` if somebody holds it.

    Raises:
        OSError: it can't be made, or is no regular file.
    """
    while True:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | _FLAGS, mode, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, f"{name} is not a regular file")
            if not try_lock(fd, fcntl.LOCK_EX):
                os.close(fd)
                return None
            if is_in_place(fd, name, directory):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its former owner removed it meanwhile


def open_shared(name: str, directory: int | None = None) -> int | None:
    """Open a file for reading under a shared lock: nobody removes it before it is closed.

    Returns:
        Its descriptor; ``None`` if there is no such file, or it is being removed.
    """
    try:
        fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        if try_lock(fd, fcntl.LOCK_SH) and is_in_place(fd, name, directory):
            return fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


@contextmanager
def seized(name: str, directory: int | None = None) -> Iterator[bool]:
    """Lock a file to remove it: yields whether it is there and nobody uses it."""
    try:
        fd = os.open(name, os.O_RDWR | _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        yield False
        return
    try:
        yield try_lock(fd, fcntl.LOCK_EX) and is_in_place(fd, name, directory)
    finally:
        os.close(fd)


def remove_unused(name: str, directory: int | None = None) -> bool:
    """Remove a file unless somebody has it locked; returns whether it was removed."""
    with seized(name, directory) as is_free:
        if is_free:
            os.unlink(name, dir_fd=directory)
        return is_free


def remove(name: str, directory: int) -> None:
    """Remove a file that is never locked, or locked by the caller."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)

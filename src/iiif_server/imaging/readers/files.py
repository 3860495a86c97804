"""Open source files safely, whatever the path turns out to be."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from iiif_server.errors import ImageNotFound, SourceTooLarge, UnreadableSource


def open_regular(path: str, max_bytes: int) -> BinaryIO:
    """Open a regular file for reading.

    No symlink in the last place, no waiting for a pipe's writer, no descriptor for child processes.

    Raises:
        ImageNotFound: there is no such regular file, or it may not be read.
        UnreadableSource: it is empty, or can't be read at the moment.
        SourceTooLarge: it has more bytes than allowed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}:
            raise UnreadableSource("The source can't be read at the moment.", log=str(error)) from error
        raise ImageNotFound("There is no such image.", log=str(error)) from error
    except ValueError as error:
        raise ImageNotFound("There is no such image.", log=f"{path!r}: {error}") from error
    try:
        _check_status(path, os.fstat(descriptor), max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_status(path: str, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageNotFound("There is no such image.", log=f"{path!r} is not a regular file")
    if not status.st_size:
        raise UnreadableSource("The source image is an empty file.")
    if status.st_size > max_bytes:
        raise SourceTooLarge("The source file has more bytes than this server reads.")

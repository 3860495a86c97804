"""A directory that is the server's own: a marker says so, and 256 leaves spread what is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MARKER: Final = ".iiif-server-cache"
"""The file that says that everything beside it may be deleted."""

LEAVES: Final = tuple(f"{number:02x}" for number in range(256))
CREATE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LEAF: Final = (FileNotFoundError, NotADirectoryError)
"""What opening a leaf raises if there is none; the latter: a symbolic link, which is nothing of ours."""

_LEAF_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class ForeignDirectory(Exception):
    """The directory has content and no marker: somebody else's files may be in it."""


class OwnedDirectory:
    """A directory that is claimed before it is used. Synchronous; safe for several processes at once.

    Inside, everything is opened relative to a leaf that was opened without following symbolic links, so that
    no link leads a read, write or deletion out of the directory.

    Args:
        path: the directory, made when needed. It may itself be a symbolic link.
        owns: tells the names of files in leaves that are the owner's own.
        beside: names of the owner's files beside the leaves.
    """

    def __init__(self, path: Path, owns: Callable[[str], object], beside: tuple[str, ...] = ()) -> None:
        self.path = path
        self._owns = owns
        # A fresh file system is as good as an empty directory.
        self._beside = {MARKER, "lost+found", *beside}

    def claim(self) -> None:
        """Make sure that the directory exists and is the owner's.

        Raises:
            ForeignDirectory: it is not.
            OSError: it can't be made or looked at.
        """
        if self.is_claimed():
            return
        self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
        with os.scandir(self.path) as items:
            if all(self._is_own(item) for item in items):
                with suppress(FileExistsError):
                    os.close(os.open(self.path / MARKER, CREATE_FLAGS, 0o640))
        if not self.is_claimed():
            raise self._foreign()

    def is_there(self) -> bool:
        """Tell whether there is such a directory, without making or claiming it.

        Raises:
            ForeignDirectory: there is one that is not the owner's.
            OSError: it can't be looked at.
        """
        try:
            with os.scandir(self.path) as items:
                if not self.is_claimed() and not all(self._is_own(item) for item in items):
                    raise self._foreign()
        except FileNotFoundError:
            return False
        return True

    def is_claimed(self) -> bool:
        """Tell whether the marker is there."""
        try:
            return stat.S_ISREG(os.lstat(self.path / MARKER).st_mode)
        except FileNotFoundError:
            return False

    @contextmanager
    def leaf(self, leaf: str) -> Iterator[int]:
        """Open a leaf; what is in it is then opened relative to this descriptor.

        Raises:
            OSError: one of ``NO_LEAF`` if there is none.
        """
        fd = os.open(f"{self.path}/{leaf}", _LEAF_FLAGS)
        try:
            yield fd
        finally:
            os.close(fd)

    def make_leaf(self, leaf: str) -> None:
        """Make a leaf for its first entry, or the whole directory if it was deleted under us.

        Raises:
            ForeignDirectory: the directory turned into somebody else's.
            OSError: it can't be made.
        """
        self.claim()
        with suppress(FileExistsError):
            (self.path / leaf).mkdir(mode=0o750)

    def _foreign(self) -> ForeignDirectory:
        return ForeignDirectory(
            f"{self.path} has files in it but no {MARKER}: not used as a cache, so that nothing of "
            "somebody else's is deleted. Name an empty or a new directory."
        )

    def _is_own(self, item: os.DirEntry[str]) -> bool:
        """Tell whether this may be in the directory before it is claimed.

        Leaves with nothing but own files are fine: what cleans up old files may take the marker away.
        """
        if item.name in self._beside:
            return True
        if item.name not in LEAVES or not item.is_dir(follow_symlinks=False):
            return False
        with suppress(*NO_LEAF), self.leaf(item.name) as fd, os.scandir(fd) as files:
            return all(self._owns(file.name) for file in files)
        return True  # deleted meanwhile

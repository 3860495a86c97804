"""The disk cache's directory: 256 leaves, whole files, and nothing touched that the cache did not make."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

MARKER: Final = ".iiif-server-cache"
"""The file that says that everything beside it may be deleted."""

LEAVES: Final = tuple(f"{number:02x}" for number in range(256))
STALE_SECONDS: Final = 3600.0
"""A temporary file older than this lost its writer."""

_ENTRY = re.compile(r"[0-9a-f]{40}\.iiif", re.ASCII)
_TEMPORARY = re.compile(r"\.[0-9a-f]{40}\.[0-9a-f]{16}\.tmp", re.ASCII)
_BESIDE_MARKER = {MARKER, "lost+found"}  # a fresh file system is as good as an empty directory
_LEAF_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not hang a thread.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LEAF = (FileNotFoundError, NotADirectoryError)  # the latter: a symbolic link, which is nothing of ours


class ForeignDirectory(Exception):
    """The directory has content and no marker: somebody else's files may be in it."""


class Found(NamedTuple):
    """A file of the cache's own, met while looking through a leaf."""

    name: str
    size: int
    used_ns: int
    is_entry: bool


def file_name(key: str) -> str:
    """The name of a key's entry in its leaf.

    Raises:
        ValueError: the key is not 40 lowercase hexadecimal digits.
    """
    name = f"{key}.iiif"
    if not _ENTRY.fullmatch(name):
        raise ValueError(f"{key!r} is not a derivative key")
    return name


class CacheDirectory:
    """Files by key under one directory. Synchronous; safe for several processes at once; keeps no state.

    Inside, everything is opened relative to a leaf that was opened without following symbolic links, so that
    no link leads a read, write or deletion out of the directory.

    Args:
        path: the directory, made when needed. It may itself be a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self) -> None:
        """Make sure that the directory exists and is the cache's own.

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
                    os.close(os.open(self.path / MARKER, _WRITE_FLAGS, 0o640))
        if not self.is_claimed():
            raise ForeignDirectory(
                f"{self.path} has files in it but no {MARKER}: not used as a cache, so that nothing of "
                "somebody else's is deleted. Name an empty or a new directory."
            )

    def is_claimed(self) -> bool:
        """Tell whether the marker is there."""
        try:
            return stat.S_ISREG(os.lstat(self.path / MARKER).st_mode)
        except FileNotFoundError:
            return False

    def open(self, key: str) -> FileIO:
        """Open a key's entry for reading.

        Raises:
            OSError: there is none (``FileNotFoundError``), or it can't be opened.
        """
        name = file_name(key)
        with self._leaf(key[:2]) as leaf:
            fd = os.open(name, _READ_FLAGS, dir_fd=leaf)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileNotFoundError(name)
            return FileIO(fd)
        except BaseException:
            os.close(fd)
            raise

    def write(self, key: str, *parts: bytes) -> None:
        """Write an entry beside its place and rename it: it is whole or absent.

        Raises:
            ForeignDirectory: the directory turned into somebody else's.
            OSError: it can't be written; nothing of it is left.
        """
        try:
            self._write(key, parts)
        except FileNotFoundError:
            # The leaf's first entry; or the directory was deleted under us.
            self.claim()
            with suppress(FileExistsError):
                (self.path / key[:2]).mkdir(mode=0o750)
            self._write(key, parts)

    def remove(self, key: str) -> None:
        """Delete a key's entry, if it is there and the directory is still the cache's own."""
        name = file_name(key)
        if self.is_claimed():
            self.delete(key[:2], [name])

    def look(self, leaf: str) -> Iterator[Found]:
        """The cache's own files in a leaf; temporaries that lost their writer are deleted on the way."""
        with suppress(*_NO_LEAF), self._leaf(leaf) as fd, os.scandir(fd) as items:
            for item in items:
                is_entry = _ENTRY.fullmatch(item.name) is not None
                if not is_entry and not _TEMPORARY.fullmatch(item.name):
                    continue
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted meanwhile, by another process
                if not stat.S_ISREG(status.st_mode):
                    continue
                if not is_entry and time.time() - status.st_mtime > STALE_SECONDS:
                    with suppress(FileNotFoundError):
                        os.unlink(item.name, dir_fd=fd)
                    continue
                yield Found(item.name, status.st_size, status.st_mtime_ns, is_entry)

    def delete(self, leaf: str, names: list[str]) -> int:
        """Delete files of a leaf that bear the cache's own kind of name; returns how many were there."""
        deleted = 0
        with suppress(*_NO_LEAF), self._leaf(leaf) as fd:
            for name in names:
                assert _ENTRY.fullmatch(name) or _TEMPORARY.fullmatch(name), name
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
                    deleted += 1
        return deleted

    def survey(self) -> tuple[int, int]:
        """The number of entries and the bytes of all files, by looking at every leaf. For the operator."""
        entries = size = 0
        for leaf in LEAVES:
            for found in self.look(leaf):
                entries += found.is_entry
                size += found.size
        return entries, size

    def purge(self) -> int:
        """Delete every entry; returns how many. Safe while servers run.

        Raises:
            ForeignDirectory: the directory has no marker.
        """
        if not self.is_claimed():
            raise ForeignDirectory(f"{self.path} has no {MARKER}: nothing was deleted.")
        return sum(
            self.delete(leaf, [found.name for found in self.look(leaf) if found.is_entry]) for leaf in LEAVES
        )

    @contextmanager
    def _leaf(self, leaf: str) -> Iterator[int]:
        fd = os.open(f"{self.path}/{leaf}", _LEAF_FLAGS)
        try:
            yield fd
        finally:
            os.close(fd)

    def _is_own(self, item: os.DirEntry[str]) -> bool:
        """Tell whether this may be in the directory before it is claimed.

        Leaves with nothing but the cache's files are fine: what cleans up old files may take the marker away.
        """
        if item.name in _BESIDE_MARKER:
            return True
        if item.name not in LEAVES or not item.is_dir(follow_symlinks=False):
            return False
        with suppress(*_NO_LEAF), self._leaf(item.name) as fd, os.scandir(fd) as files:
            return all(_ENTRY.fullmatch(file.name) or _TEMPORARY.fullmatch(file.name) for file in files)
        return True  # deleted meanwhile

    def _write(self, key: str, parts: tuple[bytes, ...]) -> None:
        name = file_name(key)
        temporary = f".{key}.{secrets.token_hex(8)}.tmp"
        with self._leaf(key[:2]) as leaf:
            fd = os.open(temporary, _WRITE_FLAGS, 0o640, dir_fd=leaf)
            try:
                try:
                    for part in parts:
                        _write_all(fd, part)
                finally:
                    os.close(fd)  # network file systems and quotas report a full disk here
                # No fsync: it costs several times the write; the reader's checksum finds what a crash tore.
                os.rename(temporary, name, src_dir_fd=leaf, dst_dir_fd=leaf)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=leaf)
                raise


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]

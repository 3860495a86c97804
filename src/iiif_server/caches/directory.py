"""The disk cache's directory: 256 leaves, whole files, and nothing touched that the cache did not make."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

from iiif_server.caches.locks import remove_unused
from iiif_server.caches.owned import CREATE_FLAGS, LEAVES, MARKER, NO_LEAF, ForeignDirectory, OwnedDirectory
from iiif_server.caches.roster import ROSTER

STALE_SECONDS: Final = 3600.0
"""A temporary file older than this lost its writer."""

_ENTRY = re.compile(r"[0-9a-f]{40}\.iiif", re.ASCII)
_CLAIM = re.compile(r"\.[0-9a-f]{40}\.claim", re.ASCII)
_TEMPORARY = re.compile(r"\.[0-9a-f]{40}\.[0-9a-f]{16}\.tmp", re.ASCII)
# O_NONBLOCK: opening a FIFO must not hang a thread.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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


def claim_name(key: str) -> str:
    """The name of the file that whoever makes a key's entry has locked."""
    return f".{file_name(key).removesuffix('.iiif')}.claim"


class CacheDirectory(OwnedDirectory):
    """Files by key under one directory. Synchronous; safe for several processes at once; keeps no state.

    Args:
        path: the directory, made when needed. It may itself be a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        kinds = (_ENTRY, _TEMPORARY, _CLAIM)
        super().__init__(path, lambda name: any(kind.fullmatch(name) for kind in kinds), (ROSTER,))

    def open(self, key: str) -> FileIO:
        """Open a key's entry for reading.

        Raises:
            OSError: there is none (``FileNotFoundError``), or it can't be opened.
        """
        name = file_name(key)
        with self.leaf(key[:2]) as leaf:
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
            self.make_leaf(key[:2])
            self._write(key, parts)

    def remove(self, key: str) -> None:
        """Delete a key's entry, if it is there and the directory is still the cache's own."""
        name = file_name(key)
        if self.is_claimed():
            self.delete(key[:2], [name])

    def look(self, leaf: str) -> Iterator[Found]:
        """The cache's own files in a leaf; what lost its writer or its owner is deleted on the way."""
        with suppress(*NO_LEAF), self.leaf(leaf) as fd, os.scandir(fd) as items:
            for item in items:
                is_entry = _ENTRY.fullmatch(item.name) is not None
                if _CLAIM.fullmatch(item.name):
                    with suppress(OSError):
                        remove_unused(item.name, fd)  # whoever was killed over it
                    continue
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
        with suppress(*NO_LEAF), self.leaf(leaf) as fd:
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

    def _write(self, key: str, parts: tuple[bytes, ...]) -> None:
        name = file_name(key)
        temporary = f".{key}.{secrets.token_hex(8)}.tmp"
        with self.leaf(key[:2]) as leaf:
            fd = os.open(temporary, CREATE_FLAGS, 0o640, dir_fd=leaf)
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

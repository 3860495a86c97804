"""The disk cache's directory: 256 leaves, whole files, and nothing touched that the cache did not make."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from iiif_server.caches.keys import KEY_DIGITS
from iiif_server.caches.owned import CREATE_FLAGS, NO_LEAF, OwnedDirectory
from iiif_server.caches.roster import ROSTER

CLAIMS: Final = "claims"
"""The file, beside the leaves, whose bytes are locked by who makes something."""

STALE_SECONDS: Final = 3600.0
"""A temporary file older than this lost its writer."""

_ENTRY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\.iiif", re.ASCII)
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{{KEY_DIGITS}}}\.[0-9a-f]{{16}}\.tmp", re.ASCII)
_OUTDATED = re.compile(
    rf"[0-9a-f]{{40}}\.iiif|\.[0-9a-f]{{40}}\.[0-9a-f]{{16}}\.tmp|\.[0-9a-f]{{{KEY_DIGITS}}}\.claim", re.ASCII
)
"""What the first format called its files: its keys did not tell whose a derivative is. And former claims."""
_SMALL = 1 << 20
"""What is no larger is put together and written by one call."""
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
        ValueError: the key is not 64 lowercase hexadecimal digits.
    """
    name = f"{key}.iiif"
    if not _ENTRY.fullmatch(name):
        raise ValueError(f"{key!r} is not a derivative key")
    return name


class CacheDirectory(OwnedDirectory):
    """Files by key under one directory. Synchronous; safe for several processes at once; keeps no state.

    Args:
        path: the directory, made when needed. It may itself be a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _is_own, (ROSTER, CLAIMS))
        self._writer, self._written = secrets.token_hex(4), count()

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

    def has(self, key: str) -> bool:
        """Tell whether there is an entry under a key, whole or not; no if that can't be told."""
        return os.path.lexists(self.path / key[:2] / file_name(key))

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
        """The cache's own files in a leaf. What is of no more use is deleted on the way.

        That is: what lost its writer, and files that earlier versions made.
        """
        with suppress(*NO_LEAF), self.leaf(leaf) as fd, os.scandir(fd) as items:
            for item in items:
                is_entry = _ENTRY.fullmatch(item.name) is not None
                if not is_entry and not _is_own(item.name):
                    continue
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted meanwhile, by another process
                if not stat.S_ISREG(status.st_mode):
                    continue
                if not is_entry and (
                    _OUTDATED.fullmatch(item.name) or time.time() - status.st_mtime > STALE_SECONDS
                ):
                    with suppress(OSError):  # gone meanwhile; or only looked at, by another user
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

    def _write(self, key: str, parts: tuple[bytes, ...]) -> None:
        name = file_name(key)
        temporary = f".{key}.{self._writer}{next(self._written) % 2**32:08x}.tmp"
        with self.leaf(key[:2]) as leaf:
            fd = os.open(temporary, CREATE_FLAGS, 0o640, dir_fd=leaf)
            try:
                try:
                    _write_all(fd, parts)
                finally:
                    os.close(fd)  # network file systems and quotas report a full disk here
                # No fsync: it costs several times the write; the reader's checksum finds what a crash tore.
                os.rename(temporary, name, src_dir_fd=leaf, dst_dir_fd=leaf)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=leaf)
                raise


def _is_own(name: str) -> bool:
    return any(kind.fullmatch(name) for kind in (_ENTRY, _TEMPORARY, _OUTDATED))


def _write_all(fd: int, parts: Sequence[bytes]) -> None:
    if sum(map(len, parts)) <= _SMALL:
        parts = (b"".join(parts),)
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(fd, rest) :]

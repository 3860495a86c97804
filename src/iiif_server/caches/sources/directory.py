"""The files of a source store: which names they have, and what can be told by looking at them."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from iiif_server.caches.budget import on_disk
from iiif_server.caches.owned import NO_LEAF, OwnedDirectory
from iiif_server.caches.sources.ledger import LEDGER
from iiif_server.caches.sources.records import DamagedRecord, SourceRecord, decode

LARGEST_RECORD: Final = 1 << 20

_NAME = re.compile(r"(\.?)([0-9a-f]{40})(?:\.([0-9a-f]{16}))?\.(source|json|part|draft)", re.ASCII)
_KINDS = {
    # kind: hidden, has a serial
    "source": (False, True),
    "json": (False, False),
    "part": (True, False),
    "draft": (True, False),
}


def source_name(digest: str, serial: str) -> str:
    """A whole source: never written to, locked (shared) by whoever lends it."""
    return f"{digest}.{serial}.source"


def record_name(digest: str) -> str:
    """The description, which names the source it belongs to: a key has what its description says."""
    return f"{digest}.json"


def part_name(digest: str) -> str:
    """What is being fetched, locked (exclusively) by whoever fetches: one at a time for each key."""
    return f".{digest}.part"


def draft_name(digest: str) -> str:
    """A description that is being written, under the ledger's lock."""
    return f".{digest}.draft"


class Entry(NamedTuple):
    """A source with its description, met while looking through a leaf."""

    digest: str
    source: str
    """The source's file name."""
    bytes: int
    """Of both files, in blocks."""
    used: float
    """Seconds since the epoch."""


@dataclass(slots=True)
class View:
    """What is in a leaf.

    Attributes:
        entries: sources with their descriptions.
        strays: sources that no description names: replaced or forgotten while they were lent, or left by a
            process that died.
        parts: what is being fetched, or was by a process that died.
        scraps: drafts, and descriptions without a source.
        bytes: of everything, in blocks.
    """

    entries: list[Entry] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    scraps: list[str] = field(default_factory=list)
    bytes: int = 0


class SourceDirectory(OwnedDirectory):
    """Reads what is in a store's directory. Synchronous, keeps no state; changing is up to the keeper.

    Args:
        path: the directory, made when needed. It may itself be a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _kind, (LEDGER,))

    def read(self, digest: str) -> tuple[SourceRecord, str] | None:
        """A key's description, and its source's serial; ``None`` if there is none.

        Raises:
            DamagedRecord: there is one, and it is torn.
            OSError: it can't be read.
        """
        try:
            with self.leaf(digest[:2]) as leaf:
                return self.read_in(leaf, digest)
        except NO_LEAF:
            return None

    @staticmethod
    def read_in(leaf: int, digest: str) -> tuple[SourceRecord, str] | None:
        """The same within an open leaf."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(record_name(digest), flags, dir_fd=leaf)
        except FileNotFoundError:
            return None
        try:
            data = os.read(fd, LARGEST_RECORD + 1)
        except IsADirectoryError:
            raise DamagedRecord("it is a directory") from None
        finally:
            os.close(fd)
        return decode(data, digest)

    def size_of(self, digest: str, serial: str) -> int | None:
        """The size of a source, in bytes; ``None`` if there is none."""
        try:
            return os.lstat(f"{self.path}/{digest[:2]}/{source_name(digest, serial)}").st_size
        except NO_LEAF:
            return None

    def look(self, leaf: str) -> View:
        """Look through a leaf; what is not the store's own is not seen.

        Raises:
            OSError: it can't be looked at.
        """
        view = View()
        try:
            with self.leaf(leaf) as fd:
                self._sort(fd, view)
        except NO_LEAF:
            pass
        return view

    def _sort(self, leaf: int, view: View) -> None:
        sources: dict[str, list[tuple[str, os.stat_result]]] = {}
        records: dict[str, int] = {}
        with os.scandir(leaf) as items:
            for item in items:
                kind = _kind(item.name)
                status = _status(item) if kind else None
                if kind is None or status is None:
                    continue
                view.bytes += on_disk(status.st_size)
                if kind == "source":
                    sources.setdefault(item.name[:40], []).append((item.name, status))
                elif kind == "json":
                    records[item.name[:40]] = on_disk(status.st_size)
                else:
                    (view.parts if kind == "part" else view.scraps).append(item.name)
        for digest, found in sources.items():
            current = self._current(leaf, digest, [name for name, _ in found]) if digest in records else None
            for name, status in found:
                if name == current:
                    size = on_disk(status.st_size) + records.pop(digest)
                    view.entries.append(Entry(digest, name, size, status.st_mtime))
                else:
                    view.strays.append(name)
        view.scraps.extend(map(record_name, records))

    def _current(self, leaf: int, digest: str, names: list[str]) -> str | None:
        """Which of a key's sources its description names; a lone one is believed to be it."""
        if len(names) == 1:
            return names[0]
        try:
            found = self.read_in(leaf, digest)
        except DamagedRecord:
            return None
        name = found and source_name(digest, found[1])
        return name if name in names else None


def _kind(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    if match is None or _KINDS[match[4]] != (bool(match[1]), match[3] is not None):
        return None
    return match[4]


def _status(item: os.DirEntry[str]) -> os.stat_result | None:
    try:
        status = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # an empty part, removed by whoever held it
    return status if stat.S_ISREG(status.st_mode) else None

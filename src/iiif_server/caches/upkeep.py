"""What an operator sees of a cache and removes from it, while servers use it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from iiif_server.caches.budget import on_disk
from iiif_server.caches.directory import CacheDirectory
from iiif_server.caches.keys import KEY_DIGITS, OWNER_DIGITS, PROFILE_DIGITS
from iiif_server.caches.owned import LEAVES


class Kept(NamedTuple):
    """Something that a cache keeps, as it was met."""

    handle: str
    """What the cache itself calls it."""
    owner: str
    """Whose it is: :func:`iiif_server.caches.keys.owner_of` its image."""
    bytes: int
    """In blocks, as budgets count."""
    used: float
    """When it was last used, in seconds since the epoch; not more exactly than the cache records it."""


class Upkeep(Protocol):
    """A cache that is looked through a leaf at a time. Synchronous; safe while servers use the cache.

    Any method may raise ``OSError`` if the directory can't be used.
    """

    def is_there(self) -> bool:
        """Tell whether there is anything to look through.

        Raises:
            ForeignDirectory: the directory is somebody else's.
        """
        ...

    def look(self, leaf: str) -> Iterator[Kept]:
        """What is kept in a leaf."""
        ...

    def remove(self, leaf: str, kept: Sequence[Kept]) -> None:
        """Remove what was met in a leaf; what is gone already is fine."""
        ...


class DerivativeUpkeep:
    """The cache of derivatives on disk. Nothing is read but names, sizes and times."""

    def __init__(self, directory: CacheDirectory) -> None:
        self._directory = directory

    def is_there(self) -> bool:
        """See :meth:`Upkeep.is_there`."""
        return self._directory.is_there()

    def look(self, leaf: str) -> Iterator[Kept]:
        """See :meth:`Upkeep.look`."""
        for found in self._directory.look(leaf):
            if found.is_entry:
                owner = found.name[KEY_DIGITS - OWNER_DIGITS : KEY_DIGITS]
                yield Kept(found.name, owner, on_disk(found.size), found.used_ns / 1e9)

    def remove(self, leaf: str, kept: Sequence[Kept]) -> None:
        """See :meth:`Upkeep.remove`."""
        self._directory.delete(leaf, [item.handle for item in kept])


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of what is kept is meant.

    Attributes:
        owners: digits of profiles (8) and of images (24); empty for everybody.
        unused_since: only what was not used after this time, in seconds since the epoch.
    """

    owners: frozenset[str] = frozenset()
    unused_since: float = math.inf

    def __contains__(self, kept: Kept) -> bool:
        if kept.used > self.unused_since:
            return False
        return not self.owners or kept.owner in self.owners or kept.owner[:PROFILE_DIGITS] in self.owners


@dataclass(slots=True)
class Amount:
    """How much there is of something.

    Attributes:
        bytes: in blocks, as budgets count.
        oldest_use: in seconds since the epoch; ``None`` if there is nothing.
        newest_use: the same.
    """

    entries: int = 0
    bytes: int = 0
    oldest_use: float | None = None
    newest_use: float | None = None

    def add(self, kept: Kept) -> None:
        """Count one in."""
        self.merge(Amount(1, kept.bytes, kept.used, kept.used))

    def merge(self, other: Amount) -> None:
        """Count others in."""
        self.entries += other.entries
        self.bytes += other.bytes
        if self.oldest_use is None or (other.oldest_use is not None and other.oldest_use < self.oldest_use):
            self.oldest_use = other.oldest_use
        if self.newest_use is None or (other.newest_use is not None and other.newest_use > self.newest_use):
            self.newest_use = other.newest_use


def survey(cache: Upkeep, leaves: Iterable[str] = LEAVES) -> tuple[Amount, dict[str, Amount]]:
    """All that is kept, and what there is of it by the digits of its profile.

    Args:
        cache: what to look through.
        leaves: those to look through; whoever hands them out sees how far it has got.

    Raises:
        ForeignDirectory: the directory is somebody else's.
        OSError: it can't be looked at.
    """
    total, by_profile = Amount(), dict[str, Amount]()
    if cache.is_there():
        for leaf in leaves:
            for kept in cache.look(leaf):
                total.add(kept)
                by_profile.setdefault(kept.owner[:PROFILE_DIGITS], Amount()).add(kept)
    return total, by_profile


def purge(
    cache: Upkeep, selection: Selection, *, dry_run: bool = False, leaves: Iterable[str] = LEAVES
) -> Amount:
    """Remove what is selected; returns how much that was. Servers that want it later make it anew.

    Args:
        cache: what to remove from.
        selection: what to remove.
        dry_run: remove nothing, and tell how much it would be.
        leaves: as for :func:`survey`.

    Raises:
        ForeignDirectory: the directory is somebody else's; nothing was removed.
        OSError: it can't be used.
    """
    removed = Amount()
    if cache.is_there():
        for leaf in leaves:
            selected = [kept for kept in cache.look(leaf) if kept in selection]
            if selected and not dry_run:
                cache.remove(leaf, selected)
            for kept in selected:
                removed.add(kept)
    return removed

"""The disk cache's byte budget, kept per group of leaves, without an index and without a scan at start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from iiif_server.caches.directory import CacheDirectory
from iiif_server.caches.owned import LEAVES

BLOCK: Final = 4096
"""Files are counted in blocks, as ``du`` does."""

LARGEST_SHARE: Final = 8
UNSEEN: Final = 0.1
"""What all processes together may write to a group between two looks at it, as a part of its share."""

SETTLE_TO: Final = 0.9
"""What eviction leaves of a group, so that it does not run at every write."""


def on_disk(size: int) -> int:
    """What a file of this size takes."""
    return -(-size // BLOCK) * BLOCK


@dataclass(slots=True)
class _Group:
    leaves: tuple[str, ...]
    total: int | None = None
    """Bytes at the last look plus own writes since; ``None`` before the first look."""
    unseen: int = 0
    """Own writes since the last look."""


class Budget:
    """Makes room for a file before it is written. For one thread; other processes keep their own.

    Keys are hashes, so that groups fill evenly and a group's share can be kept by looking at that group only.
    With every process looking again after writing ``UNSEEN / processes`` of a share, a group is never above
    ``1 + UNSEEN`` of it, save for files that two processes write at the same moment.

    Args:
        directory: what is kept within the budget.
        max_bytes: the budget.
        processes: tells how many processes write to the directory at present.
        group_bytes: the least share of a group: enough for many entries, few enough to look at quickly.
    """

    def __init__(
        self, directory: CacheDirectory, max_bytes: int, processes: Callable[[], int], group_bytes: int
    ) -> None:
        count = 1
        while count < len(LEAVES) and max_bytes // (count * 2) >= group_bytes:
            count *= 2
        width = len(LEAVES) // count
        self.share = max_bytes // count
        self.largest = self.share // LARGEST_SHARE
        self.evicted = 0
        self._directory = directory
        self._processes = processes
        self._groups = [_Group(LEAVES[start : start + width]) for start in range(0, len(LEAVES), width)]

    @property
    def known_bytes(self) -> int:
        """The bytes in the groups looked at so far."""
        return sum(group.total or 0 for group in self._groups)

    def make_room(self, key: str, size: int) -> bool:
        """Count a file in before it is written, evicting the least recently used ones if it does not fit.

        Returns:
            Whether the file may be written; ``False`` if it is too large to be kept.

        Raises:
            OSError: the leaves can't be looked at.
        """
        size = on_disk(size)
        if size > self.largest:
            return False
        group = self._groups[int(key[:2], 16) * len(self._groups) // len(LEAVES)]
        look_after = self.share * UNSEEN / self._processes()
        if group.total is None or group.unseen + size > look_after or group.total + size > self.share:
            group.total = self._look(group)
            group.unseen = 0
            if group.total + size > self.share:
                group.total -= self._evict(group, group.total + size - int(self.share * SETTLE_TO))
        group.total += size
        group.unseen += size
        return True

    def _look(self, group: _Group) -> int:
        return sum(on_disk(found.size) for leaf in group.leaves for found in self._directory.look(leaf))

    def _evict(self, group: _Group, excess: int) -> int:
        """Delete the least recently used entries that make up the excess; returns the bytes freed."""
        candidates = sorted(
            (found.used_ns, leaf, found.name, on_disk(found.size))
            for leaf in group.leaves
            for found in self._directory.look(leaf)
            if found.is_entry
        )
        victims: dict[str, list[str]] = {}
        freed = 0
        for _, leaf, name, size in candidates:
            if freed >= excess:
                break
            victims.setdefault(leaf, []).append(name)
            freed += size
        for leaf, names in victims.items():
            self.evicted += self._directory.delete(leaf, names)
        return freed

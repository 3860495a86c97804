"""What an operator sees of a source store and removes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from iiif_server.caches.keys import owner_of
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.records import DamagedRecord
from iiif_server.caches.sources.room import Room
from iiif_server.caches.upkeep import Kept


class SourceUpkeep:
    """The fetched sources of one profile; see :class:`iiif_server.caches.upkeep.Upkeep`.

    Args:
        profile: its name.
        directory: where its sources are.
        room: removes those that nobody uses.
        keeper: sees that those in use go with their last lease.
        name_of: tells the image's name by a source's key.
    """

    def __init__(
        self,
        profile: str,
        directory: SourceDirectory,
        room: Room,
        keeper: Keeper,
        name_of: Callable[[str], str],
    ) -> None:
        self._profile = profile
        self._directory = directory
        self._room = room
        self._keeper = keeper
        self._name_of = name_of
        self.path = directory.path
        self.max_bytes = room.max_bytes

    def is_there(self) -> bool:
        """See :meth:`Upkeep.is_there`."""
        return self._directory.is_there()

    def look(self, leaf: str) -> Iterator[Kept]:
        """See :meth:`Upkeep.look`; a source whose description is torn is left to the next sweep."""
        for entry in self._directory.look(leaf).entries:
            try:
                found = self._directory.read(entry.digest)
            except DamagedRecord:
                continue
            if found is not None:
                owner = owner_of(self._profile, self._name_of(found[0].key))
                yield Kept(entry.digest, owner, entry.bytes, entry.used)

    def remove(self, leaf: str, kept: Sequence[Kept]) -> None:
        """See :meth:`Upkeep.remove`; what is lent is forgotten now, and deleted with its last lease."""
        for digest in self._room.remove(leaf, {item.handle for item in kept}):
            self._keeper.forget(digest)

"""Whether what is stored is good enough for one who asks."""

from __future__ import annotations

from collections.abc import Callable

from iiif_server.caches.sources.records import SourceRecord


class Freshness:
    """What one lease wants.

    Args:
        max_age: seconds since a source was last fetched or confirmed; ``None`` for any.
        clock: seconds since the epoch. A source from the future is not young: the clock was put back.
    """

    def __init__(self, max_age: float | None, clock: Callable[[], float]) -> None:
        self._max_age = max_age
        self._clock = clock
        self._refused: float | None = None

    def is_young(self, record: SourceRecord) -> bool:
        """Tell at the first look, before any waiting, whether the source may be lent."""
        if self._max_age is None or 0 <= self._clock() - record.checked < self._max_age:
            return True
        self._refused = record.checked
        return False

    def is_fresh(self, record: SourceRecord) -> bool:
        """Tell at a later look: whatever was fetched or confirmed since the first one is fresh."""
        return record.checked != self._refused or self.is_young(record)

"""Sources that kill workers are set aside for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from lru import LRU

from iiif_server.errors import SourceSetAside

_MAX_KEYS = 4096


@dataclass(slots=True)
class _Record:
    strikes: int = 0
    last: float = 0.0


class Quarantine:
    """Counts strikes against affinity keys and refuses those that have too many.

    It forgets a key when its last strike is ``seconds`` old, and the least recently struck keys beyond a few
    thousand.

    Args:
        strikes: how many set a key aside.
        seconds: for how long.
        clock: monotonic seconds.
    """

    def __init__(self, strikes: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = strikes
        self._seconds = seconds
        self._clock = clock
        self._records: LRU[str, _Record] = LRU(_MAX_KEYS)

    def strike(self, key: str, count: int = 1) -> bool:
        """Hold ``count`` deaths against a key; says whether it is now set aside."""
        if not key:
            return False
        record = self._current(key) or _Record()
        record.strikes += count
        record.last = self._clock()
        self._records[key] = record
        return record.strikes >= self._limit

    def check(self, key: str) -> None:
        """Let a key pass.

        Raises:
            SourceSetAside: it has too many strikes.
        """
        record = self._current(key) if self._records else None
        if record is not None and record.strikes >= self._limit:
            left = max(1, ceil(record.last + self._seconds - self._clock()))
            raise SourceSetAside(
                "This image repeatedly failed to be processed and is set aside for a while.",
                log=f"set aside after {record.strikes} worker deaths or timeouts: {key}",
                retry_after=left,
            )

    def count(self) -> int:
        """How many keys are set aside at present."""
        oldest = self._clock() - self._seconds
        return sum(r.strikes >= self._limit and r.last > oldest for r in self._records.values())

    def _current(self, key: str) -> _Record | None:
        record: _Record | None = self._records.get(key)
        if record is not None and record.last <= self._clock() - self._seconds:
            del self._records[key]
            return None
        return record

"""A short memory of fetches that failed, so that a failing upstream is not asked again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lru import LRU

LONGEST_TTL: Final = 5.0
"""Seconds. What is longer would be felt as an outage of our own."""

_REMEMBERED = 1000


class Failures:
    """The last failure of each key.

    Args:
        ttl: seconds for which it is remembered; 0 remembers none.
        clock: seconds since the epoch.

    Raises:
        ValueError: ``ttl`` is out of range.
    """

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        if not 0 <= ttl <= LONGEST_TTL:
            raise ValueError(f"want a failure_ttl from 0 to {LONGEST_TTL:g} seconds")
        self._ttl = ttl
        self._clock = clock
        self._known: LRU[str, tuple[Exception, float]] = LRU(_REMEMBERED)

    def check(self, digest: str) -> None:
        """Raise a key's failure anew, if it is remembered."""
        found = self._known.get(digest)
        if found is None:
            return
        error, failed = found
        if 0 <= self._clock() - failed < self._ttl:
            raise error.with_traceback(None)  # or it would grow with every raise
        self.forget(digest)

    def note(self, digest: str, error: Exception) -> None:
        """Remember a failure."""
        if self._ttl:
            self._known[digest] = (error, self._clock())

    def forget(self, digest: str) -> None:
        """Let the next one try."""
        self._known.pop(digest, None)

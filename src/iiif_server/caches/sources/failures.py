"""A short memory of fetches that failed, so that a failing upstream is not asked again and again."""

from __future__ import annotations

import asyncio
from typing import Final

from lru import LRU

LONGEST_TTL: Final = 5.0
"""Seconds. What is longer would be felt as an outage of our own."""

_REMEMBERED = 1000


class Failures:
    """The last failure of each key.

    Args:
        ttl: seconds for which it is remembered; 0 remembers none.

    Raises:
        ValueError: ``ttl`` is out of range.
    """

    def __init__(self, ttl: float) -> None:
        if not 0 <= ttl <= LONGEST_TTL:
            raise ValueError(f"want a failure_ttl from 0 to {LONGEST_TTL:g} seconds")
        self._ttl = ttl
        self._known: LRU[str, Exception] = LRU(_REMEMBERED)

    def check(self, digest: str) -> None:
        """Raise a key's failure anew, if it is remembered."""
        if (error := self._known.get(digest)) is not None:
            raise error.with_traceback(None)  # or it would grow with every raise

    def note(self, digest: str, error: Exception) -> None:
        """Remember a failure, and not for longer: its traceback holds whatever the fetch had in memory."""
        if self._ttl:
            self._known[digest] = error
            asyncio.get_running_loop().call_later(self._ttl, self._drop, digest, error)

    def forget(self, digest: str) -> None:
        """Let the next one try."""
        self._known.pop(digest, None)

    def _drop(self, digest: str, error: Exception) -> None:
        if self._known.get(digest) is error:
            self.forget(digest)

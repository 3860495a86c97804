"""An open file that is lent to any number of users."""

from __future__ import annotations

import threading
from collections.abc import Callable

from iiif_server.caches.sources.records import StoredSource


class Loan:
    """A file that is open and locked, so that it stays where it is until the last user has left.

    Args:
        stored: what is lent.
        serial: of the file.
        end: closes the file and clears up after it; does file work, and is called once.
    """

    def __init__(self, stored: StoredSource, serial: str, end: Callable[[], None]) -> None:
        self.stored = stored
        self.serial = serial
        self.users = 1
        self._end: Callable[[], None] | None = end
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the file. Closing twice is fine. Does file work: not on the event loop."""
        with self._lock:
            end, self._end = self._end, None
        if end is not None:
            end()

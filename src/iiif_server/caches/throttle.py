"""A log that a lasting failure can't flood."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable


class ThrottledLog:
    """At most one line per interval, from whatever threads; the next one tells how many were left out.

    Args:
        logger: where the lines go.
        interval: seconds between two lines.
        clock: monotonic seconds.
    """

    def __init__(
        self, logger: logging.Logger, interval: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._next: float | None = None
        self._suppressed = 0

    def log(self, level: int, message: str | Callable[[], str]) -> None:
        """Log a line, or count it if one was logged a moment ago; then what makes the line is not called."""
        with self._lock:
            now = self._clock()
            if self._next is not None and now < self._next:
                self._suppressed += 1
                return
            suppressed, self._suppressed = self._suppressed, 0
            self._next = now + self._interval
        note = f" ({suppressed} similar messages suppressed)" if suppressed else ""
        self._logger.log(level, "%s%s", message() if callable(message) else message, note)

"""What the operator is told of a source store, now and then."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.sources.records import StoredSource
from iiif_server.caches.throttle import ThrottledLog
from iiif_server.errors import IIIFServerError


class Complaints:
    """At most one line a minute of each kind, and counts of all.

    Args:
        logger: where to.
        path: of the store.
    """

    def __init__(self, logger: logging.Logger, path: Path) -> None:
        self.failures = self.stale = 0
        self._path = path
        self._failures = ThrottledLog(logger)
        self._stale = ThrottledLog(logger)

    def not_kept(self, reason: Exception | str) -> None:
        """The directory can't be used, or has no room for a source."""
        self.failures += 1
        if isinstance(reason, ForeignDirectory):
            self._failures.log(logging.ERROR, f"Source store: {reason}")
            return
        if isinstance(reason, OSError):
            code = errno.errorcode.get(reason.errno or 0, type(reason).__name__)
            reason = f"it can't be used: {code}, {reason}"
        self._failures.log(logging.WARNING, f"Source store in {self._path}: {reason}")

    def not_checked(self, stored: StoredSource, age: float, error: Exception) -> None:
        """A source could not be revalidated, and was lent as it is."""
        self.stale += 1
        reason = error.log if isinstance(error, IIIFServerError) else repr(error)
        self._stale.log(logging.WARNING, f"{stored.key!r} is used as it was {age:.0f} seconds ago: {reason}")

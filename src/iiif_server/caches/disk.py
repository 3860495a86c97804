"""The second tier: derivatives on disk, within a byte budget, shared by every process of the server."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path

from iiif_server.caches.budget import Budget
from iiif_server.caches.claims import Claims
from iiif_server.caches.derivative import Derivative
from iiif_server.caches.directory import CacheDirectory, file_name
from iiif_server.caches.entry import HEADER_BYTES, DamagedEntry, header, load
from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.presence import Presence
from iiif_server.caches.roster import Roster
from iiif_server.caches.threads import Threads
from iiif_server.caches.throttle import ThrottledLog
from iiif_server.errors import ServerBusy

logger = logging.getLogger(__name__)

_READERS = 4
_CLAIMED_SECONDS = 1.0
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
_NO_CLAIM = "can't be shared: what several processes want is made by each"


class DiskCache:
    """Derivatives in files. Its failures cost speed and never raise: nothing is found, a put is dropped.

    There is no index and nothing is scanned at start. File work runs in threads of its own; one of them does
    all the writing and evicting, so that reads never queue behind it.

    Args:
        directory: where the files are; made when needed.
        max_bytes: what they may take together.
        small_bytes: bodies up to this size are handed out as bytes, larger ones as an open file.
        touch_seconds: a use within this time after the last recorded one is not recorded.
        processes: how many processes will share the directory, each with a cache like this one; more of
            them are noticed.
        group_bytes: the least share of the budget that is evicted from at once.
        claim_seconds: how long another process may be making what is wanted here before it is made here, too.
    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        *,
        small_bytes: int = 1 << 20,
        touch_seconds: float = 300.0,
        processes: int = 1,
        group_bytes: int = 256 << 20,
        claim_seconds: float = 10.0,
    ) -> None:
        self.max_bytes = max_bytes
        self._directory = CacheDirectory(directory)
        self._roster = Roster(directory)
        self._least_users = processes
        self._budget = Budget(self._directory, max_bytes, self._users, group_bytes)
        self._claims = Claims(self._directory)
        self._claim_seconds = claim_seconds
        self._small_bytes = small_bytes
        self._touch_seconds = touch_seconds
        self._readers = Threads(_READERS, "cache-read")
        self._writer = Threads(1, "cache-write")
        self._presence = Presence(self._directory.has, self._readers)
        self._claimed_until = 0.0
        self._closed = False
        self._failing = False
        self._complaints = ThrottledLog(logger)
        self._counters = dict.fromkeys(("hits", "misses", "writes", "too_large", "damaged", "failures"), 0)

    async def start(self) -> bool:
        """Claim the directory, and log why if that fails; returns whether the cache works now.

        Optional: every write tries again, so a cache that can't work yet does so once the reason is gone.
        """
        try:
            await self._writer.run(self._claim_directory)
        except (OSError, ForeignDirectory) as error:
            self._complain(error, "is out of use")
            self._failing = True
            return False
        return True

    async def holds(self, key: str) -> bool:
        """See :meth:`DerivativeStore.holds`."""
        return await self._presence.of(key)

    async def put(self, key: str, body: bytes) -> None:
        """Write a derivative; dropped if the disk refuses it, or if it is too large a part of the budget.

        A right to it is then given up.
        """
        file_name(key)
        if self._closed:
            return
        try:
            written = await self._writer.run(self._write, key, body)
        except (OSError, ForeignDirectory) as error:
            self._complain(error, "could not be written")
            self._failing = True
        else:
            self._failing = False
            self._counters["writes" if written else "too_large"] += 1

    async def find(self, key: str) -> Derivative | None:
        """See :meth:`DerivativeStore.find`."""
        file_name(key)
        found = None
        if not self._closed:
            with suppress(TimeoutError, ServerBusy):  # the latter: closed meanwhile
                async with asyncio.timeout(self._claim_seconds):
                    found = await self._readers.run(self._look_up, key, unwanted=Derivative.close)
        self._counters["hits"] += found is not None
        return found

    async def claim(self, key: str) -> Derivative | bool:
        """See :meth:`DerivativeStore.claim`. Waits while another process has the right."""
        file_name(key)
        found: Derivative | bool = False
        if not self._closed and self._users() > 1:
            with suppress(TimeoutError, ServerBusy):
                async with asyncio.timeout(self._claim_seconds):
                    found = await self._poll(key)
        self._counters["hits" if isinstance(found, Derivative) else "misses"] += 1
        return found

    def release(self, key: str) -> None:
        """Give up a right. Returns at once, and never raises."""
        self._readers.later(self._claims.give_up, key)

    async def close(self) -> None:
        """Finish what is under way, and end the threads."""
        self._closed = True
        await self._presence.close()
        for threads in (self._readers, self._writer):
            await threads.close()
        await asyncio.to_thread(self._leave)

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name.

        ``known_bytes`` covers the groups written to since the start; ``failing`` is 1 if the last attempt to
        write failed.
        """
        return {
            **self._counters,
            "failing": int(self._failing),
            "evicted": self._budget.evicted,
            "known_bytes": self._budget.known_bytes,
            "max_bytes": self.max_bytes,
        }

    async def _poll(self, key: str) -> Derivative | bool:
        def unwanted(found: Derivative | bool) -> None:
            if isinstance(found, Derivative):
                found.close()
            elif found:
                self._claims.give_up(key)

        pause = _FIRST_PAUSE
        while (found := await self._readers.run(self._load_or_claim, key, unwanted=unwanted)) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return found

    def _look_up(self, key: str) -> Derivative | None:
        if (derivative := self._load(key)) is None:
            self._roster.notice()  # what is missing is about to be made: are there others who might do so?
        return derivative

    def _load_or_claim(self, key: str) -> Derivative | bool | None:
        """The derivative, or whether the right to make it was had; ``None`` while another process has it."""
        if (derivative := self._look_up(key)) is not None:
            return derivative
        if self._users() == 1:
            return False
        try:
            if not self._claims.take(key):
                return None
        except (OSError, ForeignDirectory) as error:
            self._complain(error, _NO_CLAIM)
            return False
        if (derivative := self._load(key)) is not None:  # by whoever had the right before
            self._claims.give_up(key)
            return derivative
        return True

    def _load(self, key: str) -> Derivative | None:
        try:
            return self._read(key)
        except FileNotFoundError:
            pass
        except DamagedEntry as error:
            self._counters["damaged"] += 1
            self._complaints.log(logging.WARNING, f"Derivative cache: {key} was removed: {error}")
        except OSError as error:
            self._complain(error, "could not be read")
        return None

    def _users(self) -> int:
        return max(self._least_users, self._roster.users)

    def _claim_directory(self) -> None:
        """Make sure that the directory is there and this process is counted, at most once a second."""
        if (now := time.monotonic()) >= self._claimed_until:
            self._directory.claim()
            self._roster.enter()
            self._claimed_until = now + _CLAIMED_SECONDS

    def _leave(self) -> None:
        self._claims.close()
        self._roster.leave()

    def _read(self, key: str) -> Derivative:
        file = self._directory.open(key)
        try:
            self._touch(file)
            return load(file, key, self._small_bytes)
        except DamagedEntry:
            file.close()
            self._directory.remove(key)
            raise
        except BaseException:
            file.close()
            raise

    def _touch(self, file: FileIO) -> None:
        """Record the use for eviction, now and then only: it is a write to the disk."""
        age = time.time() - os.fstat(file.fileno()).st_mtime
        if not 0 <= age < self._touch_seconds:
            with suppress(OSError):  # read-only, or another user's
                os.utime(file.fileno())

    def _write(self, key: str, body: bytes) -> bool:
        try:
            self._claim_directory()
            if not self._budget.make_room(key, HEADER_BYTES + len(body)):
                return False
            self._directory.write(key, header(key, body), body)
            return True
        finally:
            self._claims.give_up(key)

    def _complain(self, error: Exception, what: str) -> None:
        self._counters["failures"] += 1
        if isinstance(error, ForeignDirectory):
            self._complaints.log(logging.ERROR, f"Derivative cache: {error}")
        else:
            code = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
            self._complaints.log(
                logging.WARNING, f"Derivative cache in {self._directory.path} {what}: {code}, {error}"
            )

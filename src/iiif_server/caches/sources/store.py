"""The store of fetched sources, as a profile uses it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from iiif_server.caches.owned import LEAVES, ForeignDirectory
from iiif_server.caches.sources.complaints import Complaints
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.failures import Failures
from iiif_server.caches.sources.fetcher import Fetch, Fetcher
from iiif_server.caches.sources.flights import Flights
from iiif_server.caches.sources.freshness import Freshness
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.lender import Lender
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.overflow import Overflow
from iiif_server.caches.sources.records import SourceRecord, StoredSource, key_digest
from iiif_server.caches.sources.room import Room
from iiif_server.caches.sources.sweeper import Sweeper
from iiif_server.caches.sources.upkeep import SourceUpkeep
from iiif_server.caches.threads import Threads, closed

_READERS = _WRITERS = 4
_SWEEP_SECONDS = 3600.0
_TOUCH_SECONDS = 60.0

T = TypeVar("T")
Errors = type[Exception] | tuple[type[Exception], ...]


class SourceStore:
    """Keeps sources that are fetched from elsewhere for a while, and lends them to workers as local files.

    A source is fetched once for everybody who wants it at the same time, in all processes that share the
    directory; a lent file is neither removed nor changed. If the directory can't be used (the disk is full,
    say), sources are fetched into temporary files for as long as they are lent.

    Files are written for the first time when the first source is asked for. Nothing is scanned at start.

    Args:
        directory: where the files are; made when needed, and the store's own. Processes may share it.
        max_bytes: what they may take together. A source of more than half of it is not kept.
        max_source_bytes: what one source may have.
        ttl: seconds after its last use when a source is removed; ``None`` for as long as there is room.
        failure_ttl: seconds for which the exception of a failed fetch is raised anew without fetching; from
            0 to 5.
        overflow: where temporary files go; by default to the system's directory for them.
        wait_seconds: how long to wait for another process that fetches the same source, before fetching it
            as well.
        name_of: tells the name of the image that a key belongs to; by default the key is the name. With it
            ``iiif-server cache purge --identifier`` finds an image's sources.
        logger: where to tell of trouble.
        clock: seconds since the epoch.

    Raises:
        ValueError: ``failure_ttl`` is out of range.
    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        *,
        max_source_bytes: int = 4 << 30,
        ttl: float | None = None,
        failure_ttl: float = 0.0,
        overflow: Path | None = None,
        wait_seconds: float = 60.0,
        name_of: Callable[[str], str] = str,
        logger: logging.Logger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        logger = logger or logging.getLogger(__name__)
        self._directory = files = SourceDirectory(directory)
        self._room = Room(files, max_bytes, ttl)
        self._lender = Lender(files, self._room, min(_TOUCH_SECONDS, (ttl or _SWEEP_SECONDS) / 8))
        self._keeper = Keeper(files, self._room, self._lender)
        self._overflow = Overflow(overflow)
        self._readers = Threads(_READERS, "source-read")
        self._writers = Threads(_WRITERS, "source-write")
        self._complaints = Complaints(logger, directory)
        self._complain = self._complaints.not_kept
        self._failures = Failures(failure_ttl)
        self._fetcher = Fetcher(
            keeper=self._keeper,
            lender=self._lender,
            overflow=self._overflow,
            threads=self._writers,
            complain=self._complain,
            max_source_bytes=max_source_bytes,
            wait_seconds=wait_seconds,
            clock=clock,
        )
        self._loans: set[Loan] = set()
        self._flights = Flights(self._fetcher, self._failures, self._loans.add, self._let_go)
        seconds = min(_SWEEP_SECONDS, max(1.0, (ttl or _SWEEP_SECONDS) / 4))
        self._sweeper = Sweeper(self._room, self._overflow, self._writers, self._complain, seconds)
        self._clock = clock
        self._name_of = name_of
        self._hits = self._in_use = 0
        self._closed = False

    def lease(
        self,
        key: str,
        fetch: Fetch,
        *,
        max_age: float | None,
        stale_if_error: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> AbstractAsyncContextManager[StoredSource]:
        """Lend a source: ``async with store.lease(key, fetch, max_age=60) as stored``.

        Whoever asks for a key that is being fetched waits for that fetch, whose it was and with whatever
        arguments. When the last one who waits is cancelled, the fetch is.

        Args:
            key: what the source is kept under; any text.
            fetch: gets the bytes, if they are not there or too old; see :class:`Fetch`.
            max_age: seconds since it was last fetched or confirmed for which a source is lent without a call
                to ``fetch``; ``None`` for ever, 0 for never.
            stale_if_error: exceptions of ``fetch`` upon which an older file is lent, if there is one.

        Raises:
            Exception: whatever ``fetch`` raises.
            SourceTooLarge: the source exceeds ``max_source_bytes``.
            UnreadableSource: the fetch wrote nothing.
            ServerBusy: there is no room for it on any disk, or the store is closed.
        """
        return self._lease(key, fetch, max_age, stale_if_error)

    async def stored(self, key: str) -> SourceRecord | None:
        """What is known of a source that is there, however old; without fetching or recording a use."""
        return await self._attempt(None, self._lender.record, key_digest(key))

    async def stored_keys(self) -> AsyncIterator[str]:
        """Every key whose source is there, in no order; what comes or goes meanwhile may be missed."""
        for leaf in LEAVES:
            found: list[str] = await self._attempt([], self._lender.keys, leaf)
            for key in found:
                yield key

    async def forget(self, key: str) -> bool:
        """Remove a source, once it is lent to nobody; the next lease fetches it anew.

        A fetch that is under way is not disturbed.

        Returns:
            Whether there was one; ``False`` also if it could not be removed, of which the log tells.
        """
        digest = key_digest(key)
        self._failures.forget(digest)
        return await self._attempt(False, self._keeper.forget, digest)

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name, without I/O; entries and bytes as this process last saw them."""
        return {
            "hits": self._hits,
            **self._fetcher.counters,
            "stale": self._complaints.stale,
            "failures": self._complaints.failures,
            "damaged": self._lender.damaged,
            "waiting": self._flights.waiting,
            "in_use": self._in_use,
            "evicted": self._room.evicted,
            "entries": self._room.entries,
            "bytes": self._room.total_bytes,
            "max_bytes": self._room.max_bytes,
        }

    def upkeep(self, profile: str) -> SourceUpkeep:
        """The store as ``iiif-server cache`` sees it, of the profile of this name."""
        return SourceUpkeep(profile, self._directory, self._room, self._keeper, self._name_of)

    async def close(self) -> None:
        """Cancel what is being fetched, close what is lent, and end the threads."""
        self._closed = True
        await self._flights.close()
        await self._sweeper.close()
        await self._readers.close()
        await self._writers.close()
        # Whoever was about to get a loan has it by now.
        await asyncio.to_thread(_close_all, list(self._loans))
        self._loans.clear()

    @asynccontextmanager
    async def _lease(
        self, key: str, fetch: Fetch, max_age: float | None, errors: Errors
    ) -> AsyncIterator[StoredSource]:
        loan = await self._borrow(key, fetch, max_age, errors)
        self._in_use += 1
        try:
            yield loan.stored
        finally:
            self._in_use -= 1
            self._let_go(loan)

    async def _borrow(self, key: str, fetch: Fetch, max_age: float | None, errors: Errors) -> Loan:
        self._check_open()
        self._sweeper.start()
        digest = key_digest(key)
        freshness = Freshness(max_age, self._clock)
        loan = await self._find(digest, freshness.is_young)
        if loan is not None:
            self._hits += 1
        else:
            try:
                loan = await self._flights.outcome(key, digest, fetch, freshness)
            except errors as error:
                loan = await self._find(digest, lambda _: True)
                if loan is None:
                    raise
                self._complaints.not_checked(loan.stored, self._clock() - loan.stored.checked, error)
        return loan

    async def _find(self, digest: str, is_wanted: Callable[[SourceRecord], bool]) -> Loan | None:
        try:
            loan = await self._readers.run(self._lender.find, digest, is_wanted, unwanted=Loan.close)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
            return None
        if loan is not None:
            self._loans.add(loan)
        return loan

    async def _attempt(self, otherwise: T, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in a thread; if the directory can't be used, say so, and go on without."""
        self._check_open()
        try:
            return await self._readers.run(function, *arguments)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
            return otherwise

    def _let_go(self, loan: Loan) -> None:
        loan.users -= 1
        if not loan.users and not self._closed:  # closing does it
            self._loans.discard(loan)
            self._readers.later(loan.close)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


@runtime_checkable
class KeepsSources(Protocol):
    """A profile that keeps what it fetches in a store: ``iiif-server cache`` shows it and purges it.

    The command makes the profile without opening it, so the store is made by ``__init__``.
    """

    @property
    def sources(self) -> SourceStore:
        """The store."""
        ...


def _close_all(loans: list[Loan]) -> None:
    for loan in loans:
        loan.close()

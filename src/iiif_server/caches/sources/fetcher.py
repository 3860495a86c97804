"""One fetch: the right to it, the profile's own part, and what becomes of the bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.sources.freshness import Freshness
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.lender import Lender
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.overflow import Overflow
from iiif_server.caches.sources.part import Part
from iiif_server.caches.sources.records import Fetched, NotModified, SourceRecord, StoredSource
from iiif_server.caches.sources.writer import SourceWriter
from iiif_server.caches.threads import Threads
from iiif_server.errors import ImageNotFound

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25


class Fetch(Protocol):
    """What a profile brings to get a source: ``async def fetch(writer, previous) -> Fetched | NotModified``.

    It writes the bytes, or finds that those of ``previous`` are still right. An exception is passed on to
    everybody who waits, and nothing is kept; ``ImageNotFound`` removes what was. A cancellation means that
    nobody waits any more.
    """

    def __call__(
        self, writer: SourceWriter, previous: StoredSource | None, /
    ) -> Awaitable[Fetched | NotModified]:
        """Get the bytes.

        Args:
            writer: takes them; it checks the size.
            previous: what is kept under the key, on lease during the fetch; ``None`` if nothing is.
        """
        ...


class Fetcher:
    """Fetches sources into a store, one process at a time for each key.

    Args:
        keeper: takes the bytes.
        lender: finds what is there.
        overflow: where bytes go that can't be kept.
        threads: do the file work.
        complain: is told why something was not kept.
        max_source_bytes: what a source may have.
        wait_seconds: how long another process may have the right to a key before we fetch beside it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        keeper: Keeper,
        lender: Lender,
        overflow: Overflow,
        threads: Threads,
        complain: Callable[[Exception | str], None],
        max_source_bytes: int,
        wait_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.counters = dict.fromkeys(("fetches", "confirmed", "not_kept", "errors"), 0)
        self._keeper = keeper
        self._lender = lender
        self._overflow = overflow
        self._threads = threads
        self._complain = complain
        self._max_source_bytes = max_source_bytes
        self._wait_seconds = wait_seconds
        self._clock = clock

    async def run(self, key: str, digest: str, fetch: Fetch, freshness: Freshness) -> Loan:
        """Fetch a source, or revalidate it; or find that another process just did."""
        right = await self._right(digest)
        part = Part(self._keeper, self._overflow, right, digest, self._complain)
        previous = None
        try:
            previous = await self._previous(digest)
            if previous is not None and freshness.is_fresh(previous.stored):
                loan, previous = previous, None
                return loan
            try:
                outcome = await self._fetch(fetch, part, previous)
            except ImageNotFound:
                if previous is not None:
                    await self._forget(digest)
                raise
            if isinstance(outcome, NotModified):
                assert previous is not None
                await self._confirm(previous, digest, outcome)
                loan, previous = previous, None
                return loan
            now = self._clock()
            loan = await self._threads.run(part.publish, key, outcome, now, unwanted=Loan.close)
            self.counters["not_kept"] += not loan.serial
            return loan
        finally:
            self._threads.later(part.abandon)
            if previous is not None:
                self._threads.later(previous.close)

    async def _right(self, digest: str) -> int | None:
        """Wait for the exclusive right to a key; ``None`` if there is none to be had."""
        deadline = time.monotonic() + self._wait_seconds
        pause = _FIRST_PAUSE
        try:
            while (fd := await self._begin(digest)) is None:
                if time.monotonic() > deadline:
                    self._complain(f"another process has been fetching one source for {self._wait_seconds} s")
                    return None
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
            return None
        return fd

    async def _begin(self, digest: str) -> int | None:
        def give_up(fd: int) -> None:
            self._keeper.abandon(fd, digest)

        return await self._threads.run(self._keeper.begin, digest, unwanted=give_up)

    async def _previous(self, digest: str) -> Loan | None:
        try:
            return await self._threads.run(self._lender.find, digest, _any, unwanted=Loan.close)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
            return None

    async def _fetch(self, fetch: Fetch, part: Part, previous: Loan | None) -> Fetched | NotModified:
        """The profile's own part."""
        self.counters["fetches"] += 1
        try:
            writer = SourceWriter(part, self._max_source_bytes, self._threads.run)
            outcome = await fetch(writer, None if previous is None else previous.stored)
            if isinstance(outcome, NotModified):
                if previous is None:
                    raise TypeError("a fetch found its source not modified, but there is no earlier one")
                self.counters["confirmed"] += 1
            else:
                await writer.flush()
        except Exception:
            self.counters["errors"] += 1
            raise
        return outcome

    async def _confirm(self, loan: Loan, digest: str, outcome: NotModified) -> None:
        now = self._clock()
        try:
            await self._threads.run(self._keeper.confirm, loan, digest, now, outcome.notes)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)  # the next lease asks again

    async def _forget(self, digest: str) -> None:
        """What is gone where it came from is lent to nobody any more, however old it may be for them."""
        try:
            await self._threads.run(self._keeper.forget, digest)
        except (OSError, ForeignDirectory) as error:
            self._complain(error)


def _any(_: SourceRecord) -> bool:
    return True

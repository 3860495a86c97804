"""Fetches that are under way, each for everybody who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from iiif_server.caches.single_flight import SingleFlight
from iiif_server.caches.sources.failures import Failures
from iiif_server.caches.sources.fetcher import Fetch, Fetcher
from iiif_server.caches.sources.freshness import Freshness
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.threads import closed

_CLOSE_SECONDS: Final = 5.0


class Flights:
    """One fetch at a time for each key in this process.

    Args:
        fetcher: does it.
        failures: remembers those that failed.
        take: told of each loan that comes out, before anybody gets it.
        let_go: told of a loan by each user that is done with it; the fetch itself is the first one.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        failures: Failures,
        take: Callable[[Loan], None],
        let_go: Callable[[Loan], None],
    ) -> None:
        self.waiting = 0
        self._fetcher = fetcher
        self._failures = failures
        self._take = take
        self._flights: SingleFlight[Loan] = SingleFlight(share=_share, let_go=let_go)
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    async def outcome(self, key: str, digest: str, fetch: Fetch, freshness: Freshness) -> Loan:
        """The loan that comes of the fetch that is under way, or of a new one."""
        self._failures.check(digest)
        self.waiting += 1
        try:
            return await self._flights.run(digest, lambda: self._fly(key, digest, fetch, freshness))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise closed() from None  # it was not this caller who was cancelled, but the fetch
            raise
        finally:
            self.waiting -= 1

    async def close(self) -> None:
        """Cancel what is under way, and whatever comes later."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)

    async def _fly(self, key: str, digest: str, fetch: Fetch, freshness: Freshness) -> Loan:
        if self._closed:  # since this task was made
            raise closed()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            loan = await self._fetcher.run(key, digest, fetch, freshness)
        except Exception as error:
            self._failures.note(digest, error)
            raise
        self._take(loan)
        return loan


def _share(loan: Loan) -> None:
    loan.users += 1

"""One computation for any number of simultaneous callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0
    is_let_go: bool = False


def _keep(_: object) -> None:
    """Most results need no care."""


class SingleFlight(Generic[T]):
    """Callers with the same key share one task; nothing of it is remembered once it is done.

    Args:
        share: called with the result for each caller that gets it, before ``let_go``.
        let_go: called with the result once every caller has got it or left: for results that hold something
            open and are counted by their users.
    """

    def __init__(self, share: Callable[[T], None] = _keep, let_go: Callable[[T], None] = _keep) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._share = share
        self._let_go = let_go

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def run(self, key: Hashable, factory: Callable[[], Awaitable[T]]) -> T:
        """The result of the running computation of this key, or of a new one.

        The work goes on while at least one caller waits for it, whichever came first, and is cancelled with
        the last one's leaving. An exception goes to all who waited, and to nobody who comes later.

        Args:
            key: what the computation is of.
            factory: starts it; called only if none is running.
        """
        flight = self._flights.get(key)
        # A finished task stays in the table until its callback has run; its outcome is not for newcomers.
        if flight is None or flight.task.done():
            flight = self._start(key, factory)
        flight.waiters += 1
        try:
            # wait() leaves the task alone when this caller is cancelled.
            await asyncio.wait((flight.task,))
            result = flight.task.result()
            self._share(result)
            return result
        finally:
            flight.waiters -= 1
            if not flight.waiters:
                self._leave(key, flight)

    def _leave(self, key: Hashable, flight: _Flight[T]) -> None:
        """What the last one who leaves does."""
        if not flight.task.done():
            self._forget(key, flight)
            flight.task.cancel()
        elif not flight.is_let_go and not flight.task.cancelled() and flight.task.exception() is None:
            flight.is_let_go = True
            self._let_go(flight.task.result())

    def _start(self, key: Hashable, factory: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def fly() -> T:
            return await factory()

        flight = _Flight(asyncio.create_task(fly(), name=f"single flight {key}"))
        self._flights[key] = flight

        def land(task: asyncio.Task[T]) -> None:
            self._forget(key, flight)
            if not task.cancelled():
                task.exception()  # retrieved, even if everybody has left
            if not flight.waiters:  # it ended well although it was cancelled
                self._leave(key, flight)

        flight.task.add_done_callback(land)
        return flight

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

"""What was looked up, for a while, and each look-up once for everybody who asks at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from iiif_server.api import ImageNotFound
from lru import LRU

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """A look-up that is under way."""

    task: asyncio.Task[T]
    waiting: int = 0


class Lookups(Generic[T]):
    """Remembers what a look-up gave; never that it failed. What is not there any more is forgotten.

    Args:
        look_up: asks the services.
        capacity: how many answers are remembered; 0 remembers none.
        ttl: seconds for which an answer is used.
        patience: seconds that a look-up may take.
        clock: seconds.
    """

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[T]],
        capacity: int,
        ttl: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._known: LRU[str, tuple[T, float]] | None = LRU(capacity) if capacity and ttl else None
        self._ttl = ttl
        self._patience = patience
        self._clock = clock
        self._flights: dict[str, _Flight[T]] = {}

    async def get(self, name: str) -> T:
        """What is known, or else a new look-up.

        Raises:
            TimeoutError: it took too long.
            Exception: whatever the look-up raises.
        """
        if self._known is not None and (found := self._known.get(name)) is not None:
            answer, asked = found
            if self._clock() - asked < self._ttl:
                return answer
        return await self.refresh(name)

    async def refresh(self, name: str) -> T:
        """A new look-up, or the one that is under way. The last who leaves cancels it."""
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = _Flight(asyncio.create_task(self._fly(name)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                flight.task.cancel()
                self._land(name, flight)

    def forget(self, name: str) -> None:
        """Look up anew next time."""
        if self._known is not None:
            self._known.pop(name, None)

    def is_known(self, name: str) -> bool:
        """Whether there is an answer, however old."""
        return self._known is not None and name in self._known

    def names(self, age: float) -> list[str]:
        """Whose answers are at least so many seconds old, the oldest first."""
        now = self._clock()
        known = [] if self._known is None else self._known.items()
        aged = sorted((asked, name) for name, (_, asked) in known if now - asked >= age)
        return [name for _, name in aged]

    def __len__(self) -> int:
        return 0 if self._known is None else len(self._known)

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _fly(self, name: str) -> T:
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._look_up(name)
        except ImageNotFound:
            self.forget(name)
            raise
        if self._known is not None:
            self._known[name] = answer, self._clock()
        return answer

    def _land(self, name: str, flight: _Flight[T]) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]

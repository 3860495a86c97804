"""A bounded load of different requests, and what became of them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Load:
    """Clients that ask for ever other tiles, so that no cache answers.

    Attributes:
        urls: addresses of images, without parameters.
        clients: how many ask at the same time.
        side: of the part that is asked for, in pixels.
        around: how many pixels its corner may be from the image's: the images have as many and the side.
    """

    urls: list[str]
    clients: int = 6
    side: int = 400
    around: int = 600
    outcomes: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(default_factory=lambda: random.Random(3))
    _begun: set[object] = field(default_factory=set)

    @property
    def failures(self) -> dict[str, int]:
        """Every outcome but success."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200"}

    async def one(self, client: aiohttp.ClientSession) -> None:
        """One request."""
        x, y = self._random.randrange(self.around), self._random.randrange(self.around)
        part = f"{x},{y},{self.side},{self.side}/{self.side // 2},"
        url = f"{self._random.choice(self.urls)}/{part}/0/default.jpg"
        self._begun.add(this := object())
        try:
            async with client.get(url) as response:
                await response.read()
                self.outcomes[str(response.status)] += 1
        except aiohttp.ClientError as error:
            self.outcomes[type(error).__name__] += 1
        finally:
            self._begun.remove(this)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep asking while the block runs; then every request begun is waited for."""
        stop = asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as client, asyncio.TaskGroup() as group:

            async def ask() -> None:
                while not stop.is_set():
                    await self.one(client)

            for _ in range(self.clients):
                group.create_task(ask())
            try:
                yield
            finally:
                stop.set()

    async def answered(self, count: int) -> None:
        """Wait until so many more requests have an outcome, and each that had begun."""
        goal, begun = self.outcomes.total() + count, set(self._begun)
        async with asyncio.timeout(60):
            while self.outcomes.total() < goal or begun & self._begun:
                await asyncio.sleep(0.02)

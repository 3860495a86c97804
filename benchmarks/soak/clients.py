"""Clients that ask for everything, over kept connections, at a steady rate."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import aiohttp
from benchmarks.soak.judging import Asked, Got, wrong
from benchmarks.soak.references import HEADERS, Reference, WrongImageError, decoded
from benchmarks.soak.targets import Target
from benchmarks.soak.windows import Window, Windows
from yarl import URL

SECONDS = 60.0
"""No answer may take longer."""

_KEPT_FAILURES = 200
_STEEPNESS = 0.7


@dataclass(frozen=True)
class Failure:
    """An answer that was wrong."""

    seconds: float
    path: str
    headers: dict[str, str]
    status: int
    why: str
    body: bytes
    faults: list[str]

    def __str__(self) -> str:
        faults = f" during {', '.join(self.faults)}" if self.faults else ""
        asked = f"GET {self.path} {self.headers or ''}".rstrip()
        lines = f"{self.why}{faults}", asked, f"{self.status} {self.body!r}"
        return f"{self.seconds:7.1f} s  " + "\n           ".join(lines)


@dataclass
class Tally:
    """What became of the requests, since the beginning and since somebody took the latest.

    Attributes:
        statuses: how often each came; 0 is a broken connection.
        latencies: seconds of each answer since the latest were taken.
    """

    began: float = field(default_factory=time.monotonic)
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    latencies: list[float] = field(default_factory=list)
    all_latencies: list[float] = field(default_factory=list)

    def note(self, asked: Asked, got: Got, seconds: float) -> None:
        """Count an answer."""
        self.statuses[got.status] += 1
        self.kinds[asked.target.kind] += 1
        self.bodies += got.status in {200, 206}
        self.latencies.append(seconds)
        self.all_latencies.append(seconds)

    def fail(self, failure: Failure) -> None:
        """Count a wrong answer, and keep it if they are not too many."""
        self.failed += 1
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(failure)

    def complain(self, why: str) -> None:
        """The server has done something else wrong than to answer."""
        self.fail(Failure(time.monotonic() - self.began, "-", {}, 0, why, b"", []))


@dataclass
class Crowd:
    """So many clients, each of which waits for its answer before it asks again.

    Args:
        url: of the server.
        references: what each target's answer must be.
        windows: the faults, as they come.
        rate: requests a second, all clients together.
    """

    url: str
    references: dict[Target, Reference]
    windows: Windows
    clients: int
    rate: float
    seed: int
    tally: Tally = field(default_factory=Tally)
    _etags: dict[Target, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        connector = aiohttp.TCPConnector(limit=self.clients)
        async with (
            aiohttp.ClientSession(
                headers=HEADERS, auto_decompress=False, timeout=timeout, connector=connector
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self.clients):
                group.create_task(self._ask_on(session, random.Random(self.seed * 1000 + number)))

    async def _ask_on(self, session: aiohttp.ClientSession, chance: random.Random) -> None:
        targets = list(self.references)
        weights = list(accumulate((rank + 1) ** -_STEEPNESS for rank in range(len(targets))))
        due = time.monotonic()
        while True:
            due = max(due + chance.expovariate(self.rate / self.clients), time.monotonic() - 1)
            await asyncio.sleep(due - time.monotonic())
            target = chance.choices(targets, cum_weights=weights)[0]
            await self._ask(session, self._chosen(target, chance))

    def _chosen(self, target: Target, chance: random.Random) -> Asked:
        """Now and then, only a part, or only what is new."""
        what, reference = chance.random(), self.references[target]
        if what < 0.1 and target in self._etags:
            return Asked(target, etag=self._etags[target])
        if what < 0.2 and target.kind in {"image", "original"} and len(reference.body) > 2:
            first = chance.randrange(len(reference.body) - 1)
            return Asked(
                target, part=(first, min(len(reference.body) - 1, first + chance.randrange(1, 50_000)))
            )
        return Asked(target)

    async def _ask(self, session: aiohttp.ClientSession, asked: Asked) -> None:
        begin = time.monotonic()
        got = await fetch(session, self.url, asked)
        end = time.monotonic()
        self.tally.note(asked, got, end - begin)
        # The end of a fault may come between the answer and this look: no harm, as it only widens the window.
        windows = self.windows.around(asked.target.sources, begin, end)
        reference = self.references[asked.target]
        why = await asyncio.to_thread(wrong, asked, got, reference, windows)
        if why is not None:
            faults = [f"{window.kind} {window.source or ''}".strip() for window in windows]
            at = end - self.tally.began
            self.tally.fail(
                Failure(at, asked.target.path, asked.headers, got.status, why, got.body[:80], faults)
            )
        elif got.status == 200 and got.body == reference.body and (etag := got.headers.get("ETag")):
            self._etags[asked.target] = etag


async def fetch(session: aiohttp.ClientSession, url: str, asked: Asked) -> Got:
    """The whole answer."""
    try:
        async with session.get(URL(url + asked.target.path, encoded=True), headers=asked.headers) as response:
            return Got(response.status, response.headers, await response.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        return Got(0, error=f"{type(error).__name__}: {error}")


async def burst(crowd: Crowd, targets: Sequence[Target]) -> None:
    """Ask for all at once, over a connection each; each must get an image of the right size, or a 503."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        headers=HEADERS, auto_decompress=False, timeout=timeout, connector=connector
    ) as session:

        async def ask(target: Target) -> None:
            asked, begin = Asked(target), time.monotonic()
            got = await fetch(session, crowd.url, asked)
            windows = crowd.windows.around(target.sources, begin, time.monotonic())
            why = await asyncio.to_thread(_wrong_of_burst, asked, got, windows)
            crowd.tally.statuses[got.status] += 1
            if why is not None:
                crowd.tally.complain(f"burst: {why}: {target.path}")

        await asyncio.gather(*map(ask, targets))


def _wrong_of_burst(asked: Asked, got: Got, windows: list[Window]) -> str | None:
    """Nobody knows the pixels: it is decoded for its size, and else its own reference."""
    try:
        pixels = decoded(got.body, asked.target.size) if got.status == 200 else ""
    except WrongImageError as error:
        return str(error)
    return wrong(asked, got, Reference(200, got.body, pixels), windows)

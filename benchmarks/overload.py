"""What becomes of the goodput, and of who asks for what is in memory, at four times what the server can do.

    python -m benchmarks.overload [--times 4] [--seconds 20]

First, more and more clients, each of which waits for its answer, ask for images that no cache has: the most
answers a second are the peak. Then so many times that are asked for, each request at its time, whatever the
answers do. Beside them, a client in a process of its own asks for tiles that are in memory. Goodput is
answers of 200 a second; some of their images are decoded. Ends with code 1 if a bar is missed.
"""

import argparse
import asyncio
import io
import itertools
import math
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from tests.chaos.raw import RawClient
from tests.support.pictures import drawn_picture
from tests.support.server import ServerProcess, serve_command
from tqdm import tqdm

WIDTH, HEIGHT = 1600, 1200
PART, SIDE = 400, 256
HOT = [f"/files:0.jpg/{x},{y},256,256/256,256/0/default.jpg" for x in (0, 256, 512, 768) for y in (0, 256)]
HOT_EVERY = 0.02
SETTLE = 2.0
"""Seconds of each load that are not counted, because it has only begun."""

LEAST_GOODPUT = 0.9
MOST_SLOWER = 10.0


def hot_latencies(port: int, seconds: float) -> list[float]:
    """Ask for hot tiles, fifty a second, in a process of its own; the seconds that each took."""
    found, end = [], time.monotonic() + seconds
    with RawClient(port) as client:
        for path in itertools.cycle(HOT):
            began = time.monotonic()
            if began > end:
                return found
            answer = client.get(path)
            if answer.status != 200:
                raise RuntimeError(f"a hot tile is answered with {answer.status}")
            found.append(time.monotonic() - began)
            time.sleep(max(0.0, HOT_EVERY - found[-1]))
    return found


class Connection(asyncio.Protocol):
    """One request at a time; streams would cost twice as much of a machine that the server needs as well."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head = b""
        self._missing = 0
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None
        self.gone = False

    def ask(self, path: str) -> asyncio.Future[tuple[bytes, bytes]]:
        """The head, in lower case, and the body, once all of it has come."""
        self._received.clear()
        self._head = b""
        self._answer = asyncio.get_running_loop().create_future()
        if self.gone:
            self._answer.set_exception(ConnectionResetError("it was closed while it was idle"))
        else:
            self._transport.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        self._received += data
        if not self._head:
            head, separator, body = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            self._head = bytes(head).lower()
            self._missing = int(self._head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self._received = body
        if len(self._received) >= self._missing and self._answer and not self._answer.done():
            self._answer.set_result((self._head, bytes(self._received)))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The server or we have closed it."""
        self.gone = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("it was closed before the answer had come"))

    def close(self) -> None:
        """Leave."""
        self._transport.abort()


@dataclass
class Load:
    """Asks for ever other parts of some images.

    Attributes:
        chance: of all loads, so that none asks for what another one asked for.
        statuses: how often each came while it was counted; 0 is a broken connection.
        latencies: of those that were answered with 200, in seconds.
        refused_badly: 503 without Retry-After.
        under_way: requests without an answer yet, and the most that there were.
        bodies: a few, to be decoded.
    """

    port: int
    chance: random.Random
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refused_badly: int = 0
    under_way: int = 0
    most_under_way: int = 0
    bodies: list[bytes] = field(default_factory=list)
    counted_from: float = math.inf
    counted_to: float = math.inf
    _idle: list[Connection] = field(default_factory=list)

    def _path(self) -> str:
        x, y = self.chance.randrange(WIDTH - PART), self.chance.randrange(HEIGHT - PART)
        # Of ever other widths as well: there are fewer corners than a long run has requests.
        part = f"{x},{y},{self.chance.randrange(300, PART)},{PART}"
        return f"/files:{self.chance.randrange(4)}.jpg/{part}/{SIDE},{SIDE}/0/default.jpg"

    async def one(self) -> None:
        """One request, over a kept connection that is free, or a new one."""
        began = time.monotonic()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        status, retry, body = 0, False, b""
        try:
            async with asyncio.timeout(60):
                status, retry, body = await self._exchange(self._path())
        except OSError:  # a time-out is one as well
            pass
        finally:
            self.under_way -= 1
        now = time.monotonic()
        if self.counted_from <= now <= self.counted_to:
            self.statuses[status] += 1
            self.refused_badly += status == 503 and not retry
            if status == 200:
                self.latencies.append(now - began)
                if len(self.latencies) % 50 == 1:
                    self.bodies.append(body)

    async def _exchange(self, path: str) -> tuple[int, bool, bytes]:
        while self._idle and self._idle[-1].gone:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            head, body = await connection.ask(path)
        except BaseException:
            connection.close()
            raise
        if b"connection: close" in head:
            connection.close()
        else:
            self._idle.append(connection)
        return int(head.split(None, 2)[1]), b"\r\nretry-after: " in head, body

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, "127.0.0.1", self.port))[1]

    async def closed_loop(self, clients: int, seconds: float) -> float:
        """So many clients, each of which waits; the goodput."""
        self._count(seconds)

        async def ask() -> None:
            while time.monotonic() < self.counted_to:
                await self.one()

        await asyncio.gather(*(ask() for _ in range(clients)))
        return self.goodput(seconds)

    async def open_loop(self, rate: float, seconds: float) -> float:
        """So many requests a second, at their times; the goodput."""
        self._count(seconds)
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                due = begun + number / rate
                if due > self.counted_to:
                    break
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(self.one())
        return self.goodput(seconds)

    def _count(self, seconds: float) -> None:
        self.counted_from = time.monotonic() + SETTLE
        self.counted_to = self.counted_from + seconds

    def goodput(self, seconds: float) -> float:
        """Answers of 200 a second."""
        return self.statuses[200] / seconds

    def check_bodies(self) -> None:
        """Decode the few that were kept."""
        for body in self.bodies:
            with Image.open(io.BytesIO(body)) as image:
                image.load()
                assert image.size == (SIDE, SIDE)

    def close(self) -> None:
        """Leave."""
        for connection in self._idle:
            connection.close()


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    found = sorted(seconds) or [math.nan]
    return found[len(found) // 2] * 1000, found[min(len(found) - 1, int(len(found) * 0.99))] * 1000


async def find_peak(port: int, chance: random.Random, seconds: float) -> float:
    """The goodput at which more clients bring no more."""
    peak, best_at = 0.0, 0
    for clients in (1, 2, 4, 8, 16, 32):
        load = Load(port, chance)
        goodput = await load.closed_loop(clients, seconds)
        load.close()
        load.check_bodies()
        p50, p99 = percentiles(load.latencies)
        print(
            f"{clients:3} clients: {goodput:6.1f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"{dict(load.statuses)}"
        )
        if goodput > peak:
            peak, best_at = goodput, clients
        elif clients >= 4 * best_at:
            break
    return peak


async def run(port: int, times: float, seconds: float) -> bool:
    """Measure; whether both bars hold."""
    loop, chance = asyncio.get_running_loop(), random.Random(11)
    # A process that is started anew: what the load does in this one must not delay what is measured there.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
        await loop.run_in_executor(beside, hot_latencies, port, 1.0)  # also makes the tiles
        idle = percentiles(await loop.run_in_executor(beside, hot_latencies, port, seconds / 2))
        peak = await find_peak(port, chance, seconds / 3)
        load = Load(port, chance)
        with tqdm(total=1, desc=f"{peak * times:.0f} a second", bar_format="{desc} for {elapsed}"):
            hot = loop.run_in_executor(beside, hot_latencies, port, seconds + SETTLE)
            overload = await load.open_loop(peak * times, seconds)
            busy = percentiles(await hot)
    load.close()
    load.check_bodies()
    refused = load.statuses[503]
    others = {status: count for status, count in load.statuses.items() if status not in {200, 503}}
    p50, p99 = percentiles(load.latencies)
    print(f"peak:     {peak:6.1f}/s")
    print(
        f"overload: {overload:6.1f}/s of {load.statuses.total() / seconds:.0f}/s answered, "
        f"{peak * times:.0f}/s asked"
    )
    print(f"          p50 {p50:.0f} ms, p99 {p99:.0f} ms; {load.most_under_way} under way at most")
    print(f"          503: {refused}, without Retry-After: {load.refused_badly}; others: {others or 'none'}")
    print(f"hot idle: p50 {idle[0]:.2f} ms, p99 {idle[1]:.2f} ms")
    print(f"hot busy: p50 {busy[0]:.2f} ms, p99 {busy[1]:.2f} ms")
    print(f"goodput of the overload / peak: {overload / peak:.2f} (wanted: above {LEAST_GOODPUT})")
    print(f"p99 of hot tiles busy / idle: {busy[1] / idle[1]:.1f} (wanted: under {MOST_SLOWER:.0f})")
    kept = overload > LEAST_GOODPUT * peak and busy[1] < MOST_SLOWER * idle[1]
    return kept and not load.refused_badly and not others


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=float, default=4.0, help="how many times the peak is asked for")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the overload")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overload-") as place:
        images = Path(place) / "images"
        images.mkdir()
        for number in range(4):
            drawn_picture(WIDTH + number, HEIGHT).save(images / f"{number}.jpg", quality=90)
        server = ServerProcess(serve_command(str(images)), Path(place) / "output")
        try:
            server.wait_until_ready()
            assert server.port is not None
            return 0 if asyncio.run(run(server.port, options.times, options.seconds)) else 1
        finally:
            server.end()


if __name__ == "__main__":
    raise SystemExit(main())

"""What becomes of the goodput, and of who asks for what is in memory, at four times what the server can do.

    python -m benchmarks.overload [--times 4] [--seconds 12] [--rounds 3] [--side 256] [--processes 1]
                                  [--apart]

First, more and more clients, each of which waits for its answer, ask for images that no cache has: so many as
get the most answers a second make the peak. Then in turns: tiles that are in memory, asked for by a client in
a process of its own; the peak; and so many times the peak, each request at its time, whatever the answers do,
with the tiles in memory beside. Goodput is answers of 200 a second; some of their images are decoded. What
counts is the median of the ratios within each round. Ends with code 1 if a bar is missed.

Where client and server share the processors, four times the requests cost the client four times as much, and
the server lacks that. With ``--apart``, the client has one processor and the server the others, always.

The cheaper an image is to make, the more requests four times the peak are, and the more of the machine goes
into refusing them: by default, images are as cheap as they can be.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import math
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image
from tests.chaos.raw import RawClient
from tests.support.pictures import drawn_picture
from tests.support.server import ServerProcess, serve_command
from tqdm import tqdm

WIDTH, HEIGHT = 1600, 1200
LEAST_PART = 400
HOT = [f"/files:0.jpg/{x},{y},256,256/256,256/0/default.jpg" for x in (0, 256, 512, 768) for y in (0, 256)]
HOT_EVERY = 0.02
SETTLE = 2.0
"""Seconds of each load that are not counted, because it has only begun."""
CONNECTIONS = 400
"""Fewer than one address may have. What is due when all are taken waits for one, and its time is counted."""
TICK = 0.002
PATIENCE = 60.0

LEAST_GOODPUT = 0.9
MOST_SLOWER = 10.0


def hot_latencies(port: int, seconds: float) -> list[float]:
    """Ask for hot tiles, fifty a second, in a process of its own; the seconds that each took."""
    found: list[float] = []
    end = time.monotonic() + seconds
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


@dataclass(slots=True)
class Request:
    """One that was asked or is to be: when it was due, and how it ended; 0 is a broken connection."""

    due: float
    path: str
    status: int = 0
    retry_after: bool = False
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One request at a time, told by calls: tasks, futures and streams would take what the server needs."""

    def __init__(self, ended: Callable[[Connection, Request], None]) -> None:
        self._ended = ended
        self._received = bytearray()
        self._length = -1
        self._request: Request | None = None
        self.gone = False

    def ask(self, request: Request) -> None:
        """Send it."""
        self._received.clear()
        self._length = -1
        self._request = request
        self._transport.write(b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n" % request.path.encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        self._received += data
        if self._length < 0:
            if (end := self._received.find(b"\r\n\r\n") + 4) < 4:
                return
            head = bytes(self._received[:end])
            self._length = end + int(head.partition(b"\r\nContent-Length: ")[2].partition(b"\r")[0] or 0)
        if len(self._received) >= self._length and (request := self._request) is not None:
            self._tell(request)

    def _tell(self, request: Request) -> None:
        head, _, body = self._received.partition(b"\r\n\r\n")
        request.status = int(head[9:12])
        request.retry_after = b"\r\nRetry-After: " in head
        request.body = bytes(body) if request.status == 200 else b""
        if b"\r\nConnection: close" in head:
            self.close()
        self._request = None
        self._ended(self, request)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The server or we have closed it."""
        self.gone = True
        request, self._request = self._request, None
        if request is not None:
            self._ended(self, request)

    def close(self) -> None:
        """Leave."""
        self.gone = True
        self._transport.abort()


@dataclass
class Load:
    """Asks for ever other parts of some images, over a bounded number of connections.

    Attributes:
        side: of the images that are asked for, in pixels.
        chance: of all loads, so that none asks for what another one asked for.
        statuses: how often each came while it was counted; 0 is a broken connection.
        latencies: of those that were answered with 200, in seconds from when they were due.
        refused_badly: 503 without Retry-After.
        under_way: requests without an answer yet, and the most that there were.
        bodies: a few, to be decoded.
    """

    port: int
    side: int
    chance: random.Random
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refused_badly: int = 0
    under_way: int = 0
    most_under_way: int = 0
    bodies: list[bytes] = field(default_factory=list)
    counted_from: float = math.inf
    counted_to: float = math.inf
    _clients: int = 0
    _connections: list[Connection] = field(default_factory=list)
    _idle: list[Connection] = field(default_factory=list)
    _backlog: deque[Request] = field(default_factory=deque)
    _connecting: set[asyncio.Task[None]] = field(default_factory=set)

    def _path(self) -> str:
        most = max(LEAST_PART, self.side * 5 // 4)
        x, y = self.chance.randrange(WIDTH - most), self.chance.randrange(HEIGHT - most)
        # Of ever other widths as well: there are fewer corners than a long run has requests.
        part = f"{x},{y},{self.chance.randrange(most * 4 // 5, most)},{most}"
        return f"/files:{self.chance.randrange(4)}.jpg/{part}/{self.side},{self.side}/0/default.jpg"

    def _ask(self, due: float) -> None:
        """One request, now, or as soon as a connection is free."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        request = Request(due, self._path())
        while self._idle:
            if not (connection := self._idle.pop()).gone:
                connection.ask(request)
                return
        self._backlog.append(request)

    def _ended(self, connection: Connection, request: Request) -> None:
        self.under_way -= 1
        now = time.monotonic()
        if self.counted_from <= now <= self.counted_to:
            self.statuses[request.status] += 1
            self.refused_badly += request.status == 503 and not request.retry_after
            if request.status == 200:
                self.latencies.append(now - request.due)
                if len(self.latencies) % 50 == 1:
                    self.bodies.append(request.body)
        if self._clients and now < self.counted_to:
            self._backlog.append(Request(now, self._path()))
            self.under_way += 1
        if connection.gone:
            asyncio.get_running_loop().call_soon(self._replace, connection)
        elif self._backlog:
            connection.ask(self._backlog.popleft())
        else:
            self._idle.append(connection)

    def _replace(self, connection: Connection) -> None:
        self._connections.remove(connection)
        task = asyncio.create_task(self._connect(1))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, made = await loop.create_connection(lambda: Connection(self._ended), "127.0.0.1", self.port)
            self._connections.append(made)
            if self._backlog:
                made.ask(self._backlog.popleft())
            else:
                self._idle.append(made)

    async def closed_loop(self, clients: int, seconds: float) -> float:
        """So many clients, each of which waits; the goodput."""
        await self._connect(clients)
        self._count(seconds)
        self._clients = clients
        for _ in range(clients):
            self._ask(time.monotonic())
        await self._settle()
        return self.goodput(seconds)

    async def open_loop(self, rate: float, seconds: float) -> float:
        """So many requests a second, at their times; the goodput."""
        await self._connect(CONNECTIONS)
        self._count(seconds)
        begun, number = time.monotonic(), 0
        while (due := begun + number / rate) < self.counted_to:
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(max(wait, TICK))
            while (due := begun + number / rate) <= time.monotonic():
                self._ask(due)
                number += 1
        await self._settle()
        return self.goodput(seconds)

    def _count(self, seconds: float) -> None:
        self.counted_from = time.monotonic() + SETTLE
        self.counted_to = self.counted_from + seconds

    async def _settle(self) -> None:
        """Wait until all is answered, for as long as a client may be patient."""
        until = self.counted_to + PATIENCE
        while self.under_way:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.under_way} requests have no answer")
            await asyncio.sleep(0.05)

    def goodput(self, seconds: float) -> float:
        """Answers of 200 a second."""
        return self.statuses[200] / seconds

    def check_bodies(self) -> None:
        """Decode the few that were kept."""
        for body in self.bodies:
            with Image.open(io.BytesIO(body)) as image:
                image.load()
                assert image.size == (self.side, self.side)

    def close(self) -> None:
        """Leave."""
        for connection in self._connections:
            connection.close()


class Processors:
    """Seconds of the processors that each part has taken, since it was made."""

    def __init__(self, server: ServerProcess) -> None:
        workers = server.workers()
        servers = [process for process in server.tree() if process not in workers]
        self._parts = {"server": servers, "workers": workers, "client": [psutil.Process()]}
        self._began, self._before = time.monotonic(), self._used()

    def _used(self) -> dict[str, float]:
        return {
            name: sum(sum(process.cpu_times()[:2]) for process in parts)
            for name, parts in self._parts.items()
        }

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        shares = [(name, (used - self._before[name]) / seconds) for name, used in self._used().items()]
        return ", ".join(f"{name} {share:.2f}" for name, share in shares)


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    found = sorted(seconds) or [math.nan]
    return found[len(found) // 2] * 1000, found[min(len(found) - 1, int(len(found) * 0.99))] * 1000


async def find_peak(server: ServerProcess, side: int, chance: random.Random, seconds: float) -> int:
    """The number of clients from which on more of them bring no more."""
    peak, best_at = 0.0, 1
    for clients in (1, 2, 4, 8, 16, 32):
        goodput = await closed(server, side, chance, clients, seconds)
        if goodput > peak:
            peak, best_at = goodput, clients
        elif clients >= 4 * best_at:
            break
    return best_at


async def closed(
    server: ServerProcess, side: int, chance: random.Random, clients: int, seconds: float
) -> float:
    """The goodput of so many clients, each of which waits."""
    load, used = Load(server.port or 0, side, chance), Processors(server)
    goodput = await load.closed_loop(clients, seconds)
    shares = str(used)
    load.close()
    load.check_bodies()
    p50, p99 = percentiles(load.latencies)
    print(
        f"{clients:3} clients: {goodput:6.1f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
        f"{dict(load.statuses)}; processors: {shares}"
    )
    return goodput


@dataclass(frozen=True)
class Round:
    """What came of one round: two ratios, and whether all else was as it has to be."""

    goodput: float
    slower: float
    is_clean: bool


async def measure(
    server: ServerProcess,
    side: int,
    times: float,
    seconds: float,
    clients: int,
    chance: random.Random,
    beside: ProcessPoolExecutor,
) -> Round:
    """Tiles in memory alone, the peak, and so many times the peak."""
    assert server.port is not None
    port, loop = server.port, asyncio.get_running_loop()
    idle = percentiles(await loop.run_in_executor(beside, hot_latencies, port, seconds / 2))
    peak = await closed(server, side, chance, clients, seconds / 2)
    load = Load(port, side, chance)
    with tqdm(total=1, desc=f"{peak * times:.0f} a second", bar_format="{desc} for {elapsed}", leave=False):
        hot = loop.run_in_executor(beside, hot_latencies, port, seconds + SETTLE)
        used = Processors(server)
        overload = await load.open_loop(peak * times, seconds)
        shares = str(used)
        busy = percentiles(await hot)
    load.close()
    load.check_bodies()
    others = {status: count for status, count in load.statuses.items() if status not in {200, 503}}
    p50, p99 = percentiles(load.latencies)
    print(
        f"overload: {overload:6.1f}/s of {load.statuses.total() / seconds:.0f}/s answered, "
        f"{peak * times:.0f}/s asked"
    )
    print(f"          p50 {p50:.0f} ms, p99 {p99:.0f} ms; {load.most_under_way} under way at most")
    print(
        f"          503: {load.statuses[503]}, without Retry-After: {load.refused_badly}; "
        f"others: {others or 'none'}; processors: {shares}"
    )
    print(
        f"          hot idle: p50 {idle[0]:.2f} ms, p99 {idle[1]:.2f} ms; "
        f"busy: p50 {busy[0]:.2f} ms, p99 {busy[1]:.2f} ms"
    )
    found = Round(overload / peak, busy[1] / idle[1], not load.refused_badly and not others)
    print(f"          goodput {found.goodput:.2f} of the peak; hot tiles' p99 {found.slower:.1f} of idle")
    return found


async def run(server: ServerProcess, side: int, times: float, seconds: float, rounds: int) -> bool:
    """Measure; whether both bars hold."""
    chance = random.Random(11)
    # A process that is started anew: what the load does in this one must not delay what is measured there.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
        # It also makes the tiles.
        await asyncio.get_running_loop().run_in_executor(beside, hot_latencies, server.port or 0, 1.0)
        clients = await find_peak(server, side, chance, seconds / 3)
        found = [await measure(server, side, times, seconds, clients, chance, beside) for _ in range(rounds)]
    goodput = statistics.median(each.goodput for each in found)
    slower = statistics.median(each.slower for each in found)
    print(f"goodput of the overload / peak, median: {goodput:.2f} (wanted: above {LEAST_GOODPUT})")
    print(f"p99 of hot tiles busy / idle, median: {slower:.1f} (wanted: under {MOST_SLOWER:.0f})")
    return goodput > LEAST_GOODPUT and slower < MOST_SLOWER and all(each.is_clean for each in found)


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=float, default=4.0, help="how many times the peak is asked for")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each overload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=256, help="pixels of what is asked for; 900 at most")
    parser.add_argument("--processes", type=int, default=1, help="of the server; each has workers of its own")
    parser.add_argument("--apart", action="store_true", help="give the client a processor of its own")
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if options.apart and len(processors) < 2:
        parser.error("--apart takes two processors at least")
    with tempfile.TemporaryDirectory(prefix="overload-") as place:
        images = Path(place) / "images"
        images.mkdir()
        for number in range(4):
            drawn_picture(WIDTH + number, HEIGHT).save(images / f"{number}.jpg", quality=90)
        if options.apart:  # what is started inherits it
            os.sched_setaffinity(0, processors[1:])
        server = ServerProcess(
            serve_command(str(images), "--processes", str(options.processes)), Path(place) / "output"
        )
        try:
            server.wait_until_ready()
            if options.apart:
                os.sched_setaffinity(0, processors[:1])
            kept = asyncio.run(run(server, options.side, options.times, options.seconds, options.rounds))
            return 0 if kept else 1
        finally:
            server.end()


if __name__ == "__main__":
    raise SystemExit(main())

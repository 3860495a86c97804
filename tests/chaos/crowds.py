"""Clients by the hundred that mean no good, and one that does."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

REQUEST = "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass
class Socket:
    """A connection, and what it may be told to do."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send bytes, if the server still takes them."""
        with suppress(ConnectionError):
            self.writer.write(data)

    async def receive(self) -> int:
        """Read an answer; its status."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        await self.reader.readexactly(int(length or 0))
        return int(head.split()[1])

    async def closed(self) -> None:
        """Wait until the server has closed."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    def abort(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def connected(port: int, count: int, address: str = "127.0.0.1") -> AsyncIterator[list[Socket]]:
    """So many connections from one address."""
    found: list[Socket] = []
    try:
        for _ in range(count):
            async with asyncio.timeout(10):
                streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            found.append(Socket(*streams))
        yield found
    finally:
        for sock in found:
            sock.abort()
        await asyncio.gather(*(sock.writer.wait_closed() for sock in found), return_exceptions=True)


@dataclass
class GoodClient:
    """Asks for paths in turn, over a new connection each time, and notes how long each took.

    Attributes:
        seconds: of each answer.
        outcomes: how often each status or error came.
    """

    port: int
    paths: list[str]
    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def ask(self, path: str) -> None:
        """One request."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(30), connected(self.port, 1) as (sock,):
                sock.send(REQUEST.format(path=path).encode())
                self.outcomes[str(await sock.receive())] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            self.outcomes[type(error).__name__] += 1
        self.seconds.append(time.monotonic() - began)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Keep asking while the block runs."""
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                for path in self.paths:
                    await self.ask(path)
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
            try:
                yield
            finally:
                stop.set()

    @property
    def p99(self) -> float:
        """Of a hundred answers, 99 took so many seconds at most."""
        return sorted(self.seconds)[math.ceil(len(self.seconds) * 0.99) - 1]


async def trickle(sockets: Iterable[Socket], text: bytes) -> None:
    """Send one byte a second over each."""
    everyone = list(sockets)
    for byte in text:
        for sock in everyone:
            sock.send(bytes([byte]))
        await asyncio.sleep(1)


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something has come true, or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)

"""Connections are shared evenly among those who listen on one socket, and none waits for long."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from iiif_server.serving import accepting
from iiif_server.serving.accepting import Acceptor
from iiif_server.serving.listening import listen
from iiif_server.serving.tally import Tally
from tests.serving.helpers import tallies

FEW = 6


class Greeter(asyncio.Protocol):
    """One connection of a process, which is counted."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._process.tally.add(1)
        self._process.connections.append(transport)
        transport.write(b"welcome")

    def connection_lost(self, _: Exception | None) -> None:
        self._process.tally.add(-1)


class Process:
    """What one process has of it."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.connections: list[asyncio.Transport] = []
        tally.begin()

    def greeter(self) -> Greeter:
        return Greeter(self)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    (found,) = listen("127.0.0.1", 0)
    yield found
    found.close()


@pytest.fixture
async def two(sock: socket.socket) -> AsyncIterator[list[Process]]:
    """Two processes, for which an event loop is enough."""
    processes = [Process(tally) for tally in tallies(2)]
    acceptors = [Acceptor(sock, process.greeter, process.tally) for process in processes]
    yield processes
    for acceptor in acceptors:
        acceptor.close()
        acceptor.close()


@asynccontextmanager
async def connected(sock: socket.socket) -> AsyncIterator[bytes]:
    """A connection, and the first that came over it."""
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    try:
        async with asyncio.timeout(10):
            yield await reader.read(100)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_connections_in_turn_are_shared(sock: socket.socket, two: list[Process]) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(FEW):
            assert await stack.enter_async_context(connected(sock)) == b"welcome"
        assert [len(process.connections) for process in two] == [FEW // 2, FEW // 2]


async def test_connections_at_once_are_shared(sock: socket.socket, two: list[Process]) -> None:
    """As a browser makes them."""
    async with AsyncExitStack() as stack:
        greetings = (stack.enter_async_context(connected(sock)) for _ in range(FEW))
        assert set(await asyncio.gather(*greetings)) == {b"welcome"}
        assert [len(process.connections) for process in two] == [FEW // 2, FEW // 2]


async def test_those_that_are_open_are_shared(sock: socket.socket, two: list[Process]) -> None:
    """Who had many before does not get fewer for that."""
    two[0].tally.add(FEW)
    async with AsyncExitStack() as stack:
        for _ in range(FEW):
            await stack.enter_async_context(connected(sock))
        assert [len(process.connections) for process in two] == [0, FEW]
        two[0].tally.add(-FEW)
        for _ in range(FEW):
            await stack.enter_async_context(connected(sock))
        assert [len(process.connections) for process in two] == [FEW, FEW]


async def test_who_does_not_come_holds_up_nobody(sock: socket.socket) -> None:
    """A process that was stopped has fewer connections than the others, for ever."""
    stopped, running = tallies(2)
    stopped.begin()
    process = Process(running)
    acceptor = Acceptor(sock, process.greeter, running)
    async with AsyncExitStack() as stack:
        for _ in range(FEW):
            assert await stack.enter_async_context(connected(sock)) == b"welcome"
    assert len(process.connections) == FEW
    acceptor.close()


def fail_to_accept(patch: pytest.MonkeyPatch, code: int, times: int) -> list[socket.socket]:
    """Have accepting fail so often; tells who tried."""
    tried: list[socket.socket] = []
    accept = socket.socket.accept

    def fail(sock: socket.socket) -> tuple[socket.socket, object]:
        tried.append(sock)
        if len(tried) <= times:
            raise OSError(code, os.strerror(code))
        return accept(sock)

    patch.setattr(socket.socket, "accept", fail)
    return tried


async def test_out_of_descriptors(
    sock: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and tried again after a while; the connection has waited."""
    monkeypatch.setattr(accepting, "_EXHAUSTED_SECONDS", 0.02)
    tried = fail_to_accept(monkeypatch, errno.EMFILE, times=3)
    process = Process(Tally.alone())
    acceptor = Acceptor(sock, process.greeter, process.tally)
    async with connected(sock) as first:
        assert first == b"welcome"
    acceptor.close()
    assert len(tried) >= 4
    assert [message.partition(":")[0] for message in caplog.messages] == ["connections can't be taken"]


async def test_a_connection_that_is_gone_is_no_trouble(
    sock: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_to_accept(monkeypatch, errno.ECONNABORTED, times=1)
    process = Process(Tally.alone())
    acceptor = Acceptor(sock, process.greeter, process.tally)
    async with connected(sock) as first:
        assert first == b"welcome"
    acceptor.close()
    assert not caplog.messages


async def test_a_connection_that_can_not_be_made_is_closed(
    sock: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = tallies(2)
    failing.begin()
    other.begin()

    def fail() -> Greeter:
        raise RuntimeError("a mistake")

    acceptor = Acceptor(sock, fail, failing)
    async with connected(sock) as first:
        assert first == b""
    acceptor.close()
    assert not failing.is_ahead()
    assert caplog.messages == ["a connection could not be made"]


async def test_nothing_is_taken_once_it_is_closed(sock: socket.socket) -> None:
    process = Process(Tally.alone())
    Acceptor(sock, process.greeter, process.tally).close()
    successor = Process(Tally.alone())
    acceptor = Acceptor(sock, successor.greeter, successor.tally)
    async with connected(sock) as first:
        assert first == b"welcome"
    assert (len(process.connections), len(successor.connections)) == (0, 1)
    acceptor.close()

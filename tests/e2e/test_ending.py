"""SIGTERM while clients are slow, idle or gone: what can be answered is, and the server ends."""

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.server import ServerFactory, ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BIG = "/files:big.png/full/max/0/default.tif"
COLOURS = "/files:colours.png/full/max/0/default.tif"


@pytest.fixture
def serving(server: ServerFactory, tmp_path: Path, request: pytest.FixtureRequest) -> ServerProcess:
    directory = tmp_path / "pictures"
    directory.mkdir()
    noise = Image.frombytes("L", (3000, 2000), random.Random(5).randbytes(6_000_000))
    noise.save(directory / "big.png", compress_level=0)
    colours = Image.frombytes("RGB", (1000, 1000), random.Random(6).randbytes(3_000_000))
    colours.save(directory / "colours.png", compress_level=0)
    return server.serve(str(directory), "--processes", str(request.param))


class SlowClient:
    """A connection that takes in a few kilobytes unless it is read."""

    def __init__(self, port: int) -> None:
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._sock.settimeout(30)
        self._sock.connect(("127.0.0.1", port))
        self.received = 0
        self.length = 0

    def ask(self, path: str = BIG) -> None:
        """Ask for an image and take its beginning."""
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head, _, body = self._read_head().partition(b"\r\n\r\n")
        self.length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        self.received = len(body)

    def take(self, at_most: int) -> bool:
        """Take in some more; False at the end of the connection."""
        with contextlib.suppress(ConnectionResetError):
            if piece := self._sock.recv(at_most):
                self.received += len(piece)
                return True
        return False

    def take_all(self) -> None:
        """Take in the rest."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        while self.take(1 << 16):
            pass

    def close(self) -> None:
        self._sock.close()

    def _read_head(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._sock.recv(1024)
        return data


@pytest.fixture
def clients(serving: ServerProcess) -> Iterator[list[SlowClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(SlowClient(serving.port or 0))) for _ in range(3)]


@pytest.mark.parametrize("serving", [1, 2], indirect=True)
async def test_slow_downloads(serving: ServerProcess, clients: list[SlowClient]) -> None:
    """One that goes on is sent whole; one that has stopped, or is idle, keeps nothing from ending."""
    slow, stopped, idle = clients
    await asyncio.to_thread(slow.ask)
    await asyncio.to_thread(stopped.ask)
    serving.process.send_signal(signal.SIGTERM)

    await asyncio.sleep(0.5)
    assert serving.process.poll() is None
    await asyncio.to_thread(slow.take_all)
    assert not idle.take(1)  # closed
    assert slow.received == slow.length > 4_000_000
    assert await asyncio.to_thread(serving.wait) == 0
    assert serving.tree() == []
    assert "Traceback" not in serving.output()
    assert stopped.received < stopped.length


@pytest.mark.parametrize("serving", [1], indirect=True)
async def test_a_slow_download_alone(serving: ServerProcess, clients: list[SlowClient]) -> None:
    """All of its answer was written, and waits with the server: that is not the end yet."""
    client, *_ = clients
    await asyncio.to_thread(client.ask, COLOURS)
    serving.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(1.5)
    await asyncio.to_thread(client.take_all)

    assert client.received == client.length > 3_000_000
    assert await asyncio.to_thread(serving.wait) == 0

"""The shipped servers for tests, and what only our own tests need besides."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from iiif_server.testing.processes import (
    WORKER,
    ServerFactory,
    ServerFailedError,
    ServerProcess,
    serve_command,
    server_factory,
)

__all__ = [
    "WORKER",
    "ServerFactory",
    "ServerFailedError",
    "ServerProcess",
    "eventually",
    "free_port",
    "serve_command",
    "server_factory",
    "workers",
]


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def workers() -> set[psutil.Process]:
    """The living workers of this process, whoever forked them."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == WORKER:
                found.add(child)
    return found


async def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something has come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)

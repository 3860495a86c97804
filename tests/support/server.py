"""The shipped servers for tests, and what only our own tests need besides."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterable
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
    "named",
    "serve_command",
    "server_factory",
    "workers",
]


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def named(name: str, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of a name. Any of them may end meanwhile."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.name() == name:
                found.append(process)
    return found


def workers() -> set[psutil.Process]:
    """The living workers of this process, whoever forked them."""
    return set(named(WORKER, psutil.Process().children(recursive=True)))


async def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something has come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)

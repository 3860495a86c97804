"""The application of a configuration in a thread of this process, for tests that need many."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from aiohttp import web

from iiif_server.app import build_app
from iiif_server.config.shares import Share
from iiif_server.plugins import load_plugins
from iiif_server.testing.probing import SharedProbe
from iiif_server.workshop import read_config


class Listening(Protocol):
    """A server, as far as a client is concerned."""

    @property
    def port(self) -> int | None:
        """That it listens on, of the loopback address."""

    @property
    def url(self) -> str:
        """The address without a slash at the end."""


@dataclass(frozen=True)
class Inside:
    """An application of this process that listens."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_inside(config: Path, probe: SharedProbe) -> Iterator[Inside]:
    """Run what a configuration file says on a free port; its workers are forked where the probe's are.

    The sockets are aiohttp's: what ``iiif-server serve`` does with its own is not seen here.
    """
    listening: Future[int] = Future()
    done: Future[None] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="application") as thread:
        running = thread.submit(lambda: asyncio.run(_serve(config, probe, listening, done)))
        try:
            wait([cast("Future[object]", one) for one in (listening, running)], return_when=FIRST_COMPLETED)
            if running.done():
                running.result()
            yield Inside(listening.result(0))
        finally:
            done.set_result(None)
        running.result()


async def _serve(config: Path, probe: SharedProbe, listening: Future[int], done: Future[None]) -> None:
    plugins = load_plugins()
    app = build_app(read_config(config, plugins), plugins, Share(fork_server=probe.fork_server))
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listening.set_result(runner.addresses[0][1])
        await asyncio.wrap_future(done)
    finally:
        await runner.cleanup()

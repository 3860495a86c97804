"""A real probe, and what workers are forked from: many tests share them, each with a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from iiif_server.execution.keeper import ForkServerKeeper
from iiif_server.execution.pool import PoolSettings, WorkerPool
from iiif_server.execution.settings import IMAGE_WORK
from iiif_server.execution.starting import can_fork
from iiif_server.imaging.tasks import SourceProperties, WorkbenchSettings
from iiif_server.services.infos import Prober

T = TypeVar("T")

_START_SECONDS = 30.0


class SharedProbe:
    """Looks at headers of local files in a worker process: what ``ProfileContext.probe`` is.

    The pool belongs to an event loop in a thread of its own, because every test has another loop. Nothing is
    remembered: each call has the file opened in the worker.

    Attributes:
        fork_server: the descriptor to ask for workers by, so that not every test's application loads codecs
            anew; None where workers are not forked.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="iiif-server-probe", daemon=True)
        self.fork_server: int | None = None

    async def __call__(self, path: Path, version: str, page: int = 1) -> SourceProperties:
        """See :class:`iiif_server.api.ProfileContext`."""
        looking = asyncio.run_coroutine_threadsafe(self._prober(path, version, page), self._loop)
        return await asyncio.wrap_future(looking)

    def start(self) -> None:
        """Start the worker, and wait until it is ready."""
        self._thread.start()
        self._wait_for(self._open())

    def close(self) -> None:
        """End the worker and the thread."""
        self._wait_for(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._keeper = ForkServerKeeper(IMAGE_WORK, _START_SECONDS) if can_fork() else None
        self.fork_server = self._keeper.requests.fileno() if self._keeper else None
        self._pool = WorkerPool(
            PoolSettings(
                factory="iiif_server.imaging.workbench:create",
                factory_argument=WorkbenchSettings(open_sources=1),
                workers=1,
                queue_size=1000,
                fork_server=self.fork_server,
            )
        )
        self._prober = Prober(self._pool, 0)
        try:
            await self._pool.start()
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        await self._pool.close(grace=0)
        if self._keeper:
            await self._keeper.close()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def shared_probe() -> Iterator[SharedProbe]:
    """A probe whose worker is gone afterwards."""
    probe = SharedProbe()
    probe.start()
    try:
        yield probe
    finally:
        probe.close()

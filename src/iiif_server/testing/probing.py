"""A real probe in a worker process that many tests share, each with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from iiif_server.execution.pool import PoolSettings, WorkerPool
from iiif_server.imaging.tasks import SourceProperties, WorkbenchSettings
from iiif_server.services.infos import Prober

T = TypeVar("T")


class SharedProbe:
    """Looks at headers of local files in a worker process: what ``ProfileContext.probe`` is.

    The pool belongs to an event loop in a thread of its own, because every test has another loop. Nothing is
    remembered: each call has the file opened in the worker.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="iiif-server-probe", daemon=True)
        self._pool = WorkerPool(
            PoolSettings(
                factory="iiif_server.imaging.workbench:create",
                factory_argument=WorkbenchSettings(open_sources=1),
                workers=1,
                queue_size=1000,
            )
        )
        self._prober = Prober(self._pool, 0)

    async def __call__(self, path: Path, version: str, page: int = 1) -> SourceProperties:
        """See :class:`iiif_server.api.ProfileContext`."""
        looking = asyncio.run_coroutine_threadsafe(self._prober(path, version, page), self._loop)
        return await asyncio.wrap_future(looking)

    def start(self) -> None:
        """Start the worker, and wait until it is ready."""
        self._thread.start()
        self._wait_for(self._pool.start())

    def close(self) -> None:
        """End the worker and the thread."""
        self._wait_for(self._pool.close(grace=0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

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

"""The metrics of this moment, of one process or of several that count together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from iiif_server.execution.messages import Outcome
from iiif_server.imaging.stopwatch import read_steps
from iiif_server.services.monitor import Monitor
from iiif_server.telemetry.metrics import Metrics, Sampler, exposition
from iiif_server.telemetry.sharing import multiprocess_directory

SAMPLE_SECONDS: Final = 1.0
"""How old another process's gauges may be."""


class MetricsService:
    """Tells the metrics.

    Args:
        metrics: what is counted as it happens.
        monitor: what is read off the parts of the server.
    """

    def __init__(self, metrics: Metrics, monitor: Monitor) -> None:
        self._metrics = metrics
        self._monitor = monitor
        self._sampler = Sampler(metrics)

    async def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        self._sample()
        # Off the loop: with many series it takes milliseconds, and with several processes it reads files.
        return await asyncio.to_thread(exposition, self._metrics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Where several processes count together, keep what the others read of this one up to date."""
        if multiprocess_directory() is None:
            yield
            return
        task = asyncio.create_task(self._keep_sampling(), name="metrics sampling")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            self._sample()

    async def _keep_sampling(self) -> None:
        while True:
            self._sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    def _sample(self) -> None:
        self._sampler.sample(self._monitor.statistics())


def count_outcome(metrics: Metrics, outcome: Outcome) -> None:
    """Count a piece of image work that a worker has done."""
    metrics.work_done(outcome.waited, read_steps(outcome.meta))

"""The pool tells what it does, and what its workers have done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from iiif_server.errors import RenderFailed, ServerBusy
from iiif_server.execution.messages import Outcome
from iiif_server.execution.pool import PoolSettings, WorkerPool
from tests.execution.conftest import PoolMaker, task
from tests.support.server import eventually


@asynccontextmanager
async def watched_pool(**options: Any) -> AsyncIterator[tuple[WorkerPool, list[Outcome]]]:
    """A pool, and what it tells its watcher."""
    told: list[Outcome] = []
    settings = PoolSettings(factory="tests.execution.handlers:create", **options)
    pool = WorkerPool(settings, told.append)
    try:
        await pool.start()
        yield pool, told
    finally:
        await pool.close(grace=0)


async def test_gauges_and_counters_are_numbers(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool(workers=1, queue_size=1)
    running = asyncio.create_task(pool.run(task("wait_while", str(gate))))
    waiting = asyncio.create_task(pool.run(task("echo")))
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await pool.run(task("echo"))
    statistics = pool.statistics()

    assert {name: statistics[name] for name in ("workers", "ready", "busy", "waiting", "capacity")} == {
        "workers": 1,
        "ready": 1,
        "busy": 1,
        "waiting": 1,
        "capacity": 1,
    }
    assert statistics["refused"] == 1
    assert all(type(value) is int for value in statistics.values())
    gate.unlink()
    await asyncio.gather(running, waiting)
    assert pool.statistics()["tasks"] == 2
    assert pool.statistics()["busy"] == pool.statistics()["waiting"] == 0


async def test_an_outcome_tells_how_long_its_task_waited(gate: Path) -> None:
    """From when it was asked for till the one before it had ended."""
    async with watched_pool(workers=1) as (pool, told):
        begun = time.perf_counter()
        running = asyncio.create_task(pool.run(task("wait_while", str(gate))))
        await eventually(lambda: pool.statistics()["busy"] == 1, 10, "the first one works")
        working = time.perf_counter()
        waiting = asyncio.create_task(pool.run(task("echo")))
        await eventually(lambda: pool.statistics()["waiting"] == 1, 10, "the second one waits")
        queued = time.perf_counter()
        await asyncio.sleep(0.1)
        released = time.perf_counter()
        gate.unlink()
        first, second = await running, await waiting
        ended = time.perf_counter()

    assert 0 <= first.waited <= working - begun
    assert released - queued <= second.waited <= ended - working
    assert told == [first, second]


async def test_a_task_that_failed_has_no_outcome_to_tell() -> None:
    async with watched_pool(workers=1) as (pool, told):
        with pytest.raises(RenderFailed):
            await pool.run(task("raise", RuntimeError("no")))

    assert told == []


async def test_work_that_nobody_waits_for_any_more_is_told_of(gate: Path) -> None:
    """It was done."""
    async with watched_pool(workers=1) as (pool, told):
        leaving = asyncio.create_task(pool.run(task("wait_while", str(gate))))
        await eventually(lambda: pool.statistics()["busy"] == 1, 10, "it is worked on")
        leaving.cancel()
        gate.unlink()
        await pool.run(task("echo"))

    assert len(told) == 2

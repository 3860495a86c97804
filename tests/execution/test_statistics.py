"""The pool tells what it does, and what its workers have done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from iiif_server.errors import RenderFailed, ServerBusy
from iiif_server.execution.messages import Outcome
from iiif_server.execution.pool import PoolSettings, WorkerPool
from tests.execution.conftest import PoolMaker, task


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


async def test_gauges_and_counters_are_numbers(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, queue_size=1)
    running = asyncio.create_task(pool.run(task("sleep", 0.3)))
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
    await asyncio.gather(running, waiting)
    assert pool.statistics()["tasks"] == 2
    assert pool.statistics()["busy"] == pool.statistics()["waiting"] == 0


async def test_an_outcome_tells_how_long_its_task_waited() -> None:
    """The second one waited at least as long as the first one worked."""
    async with watched_pool(workers=1) as (pool, told):
        first, second = await asyncio.gather(pool.run(task("sleep", 0.2)), pool.run(task("echo")))

    assert 0 <= first.waited < 0.2 <= second.waited
    assert told == [first, second]


async def test_a_task_that_failed_has_no_outcome_to_tell() -> None:
    async with watched_pool(workers=1) as (pool, told):
        with pytest.raises(RenderFailed):
            await pool.run(task("raise", RuntimeError("no")))

    assert told == []


async def test_work_that_nobody_waits_for_any_more_is_told_of() -> None:
    """It was done."""
    async with watched_pool(workers=1) as (pool, told):
        leaving = asyncio.create_task(pool.run(task("sleep", 0.2)))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await pool.run(task("echo"))

    assert len(told) == 2

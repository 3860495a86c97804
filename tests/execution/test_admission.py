"""What needs much memory waits for it, is not passed for ever, and does not hold up what needs little."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from iiif_server.errors import IIIFServerError, SourceTooLarge
from iiif_server.execution.admission import Admission
from iiif_server.execution.affinity import rank_slots
from iiif_server.execution.pool import WorkerPool
from iiif_server.execution.settings import LIGHT_MEMORY, PoolSettings
from tests.execution.conftest import PoolMaker, task

MIB = 1024**2
OWN = LIGHT_MEMORY
COMMON = 1000 * MIB


async def budgeted(make_pool: PoolMaker, workers: int, **options: int) -> WorkerPool:
    """A pool whose workers have 1000 MiB in common."""
    return await make_pool(workers=workers, memory_budget=workers * OWN + COMMON, **options)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def held(pool: WorkerPool, tmp_path: Path, memory: int, **options: Any) -> AsyncIterator[None]:
    """A task that runs for as long as the block does."""
    gate, before = tmp_path / f"gate-{memory}", pool.statistics()["busy"]
    gate.touch()
    running = asyncio.create_task(pool.run(task("wait_while", str(gate), memory=memory, **options)))
    try:
        await until(lambda: pool.statistics()["busy"] > before)
        yield
    finally:
        gate.unlink()
        await running


async def test_what_exceeds_the_budget_together_runs_one_after_the_other(
    make_pool: PoolMaker, tmp_path: Path
) -> None:
    """Although a worker is idle, and may take heavy work."""
    pool = await budgeted(make_pool, workers=3)
    async with held(pool, tmp_path, OWN + 600 * MIB):
        second = asyncio.create_task(pool.run(task("echo", memory=OWN + 600 * MIB)))
        await asyncio.sleep(0.1)
        statistics = pool.statistics()

        assert not second.done()
        assert statistics["busy"] == 1
        assert statistics["waiting_for_memory"] == 1
        assert statistics["memory_claimed"] == 3 * OWN + 600 * MIB
    await second
    assert pool.statistics()["memory_claimed"] == 3 * OWN


async def test_what_fits_together_runs_together(make_pool: PoolMaker, tmp_path: Path) -> None:
    pool = await budgeted(make_pool, workers=3)
    async with held(pool, tmp_path, OWN + 600 * MIB), asyncio.timeout(20):
        await pool.run(task("echo", memory=OWN + 400 * MIB))

        assert pool.statistics()["busy"] == 1  # the first one, still


async def test_work_that_needs_little_is_not_held_up(make_pool: PoolMaker, tmp_path: Path) -> None:
    """All that is in common is claimed, and more waits for it."""
    pool = await budgeted(make_pool, workers=2)
    async with held(pool, tmp_path, OWN + COMMON):
        waiting = asyncio.create_task(pool.run(task("echo", memory=OWN + 1)))
        for _ in range(20):
            await pool.run(task("echo", memory=OWN))
        assert not waiting.done()
    await waiting


async def test_what_needs_more_than_a_worker_has_is_heavy(make_pool: PoolMaker, tmp_path: Path) -> None:
    """So it never occupies the last worker."""
    pool = await budgeted(make_pool, workers=2)
    async with held(pool, tmp_path, OWN + 1):
        waiting = asyncio.create_task(pool.run(task("echo", memory=OWN + 1)))
        await pool.run(task("echo"))
        assert pool.statistics()["heavy"] == pool.statistics()["max_heavy"] == 1
        assert not waiting.done()
    await waiting


async def test_what_never_fits_is_refused_at_once(make_pool: PoolMaker) -> None:
    pool = await budgeted(make_pool, workers=2)
    await pool.run(task("echo", memory=OWN + COMMON))
    with pytest.raises(SourceTooLarge, match=r"takes about 1\.0 GiB of memory") as caught:
        await pool.run(task("echo", affinity="/secret", memory=OWN + COMMON + 1))

    assert "image_memory_budget" in caught.value.log
    assert "/secret" in caught.value.log
    assert "/secret" not in caught.value.public
    assert pool.statistics()["refused_for_memory"] == 1
    assert pool.statistics()["busy"] == pool.statistics()["waiting"] == 0


async def test_what_a_worker_could_not_allocate_is_refused_at_once(make_pool: PoolMaker) -> None:
    pool = await budgeted(make_pool, workers=1, memory_limit=512 * MIB)
    await pool.run(task("echo", memory=512 * MIB))
    with pytest.raises(SourceTooLarge):
        await pool.run(task("echo", memory=512 * MIB + 1))


async def test_without_a_budget_everything_is_let_in(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    await pool.run(task("echo", memory=10**15))
    assert "memory_budget" not in pool.statistics()


async def test_a_stream_of_smaller_tasks_does_not_starve_a_large_one(
    make_pool: PoolMaker, tmp_path: Path
) -> None:
    """Small ones come for ever, two at a time, so that there is never room for the large one by itself."""
    pool = await budgeted(make_pool, workers=3)
    stop = asyncio.Event()
    passed = 0

    async def stream() -> None:
        nonlocal passed
        while not stop.is_set():
            await pool.run(task("sleep", 0.02, memory=OWN + 400 * MIB))
            passed += 1

    streams = [asyncio.create_task(stream()) for _ in range(4)]
    await until(lambda: passed > 2)
    before = passed
    async with asyncio.timeout(20):
        await pool.run(task("echo", memory=OWN + COMMON))
    assert passed - before < 30
    stop.set()
    await asyncio.gather(*streams)


@pytest.mark.parametrize("how", ["killed", "late", "failed"])
async def test_memory_is_given_back_however_a_task_ends(make_pool: PoolMaker, how: str) -> None:
    pool = await budgeted(make_pool, workers=1, timeout=2, strikes=100)
    method, argument = {
        "killed": ("crash", "exit"),
        "late": ("sleep", 60),
        "failed": ("raise", SourceTooLarge("It is.")),
    }[how]
    with pytest.raises(IIIFServerError):
        await pool.run(task(method, argument, memory=OWN + COMMON))
    assert pool.statistics()["memory_claimed"] == OWN
    await pool.run(task("echo", memory=OWN + COMMON))


async def test_a_task_given_up_while_it_runs_keeps_its_memory_until_it_ends(
    make_pool: PoolMaker, tmp_path: Path
) -> None:
    pool = await budgeted(make_pool, workers=2)
    gate = tmp_path / "gate"
    gate.touch()
    running = asyncio.create_task(pool.run(task("wait_while", str(gate), memory=OWN + COMMON)))
    await until(lambda: pool.statistics()["busy"] == 1)
    running.cancel()
    await asyncio.wait((running,))

    assert pool.statistics()["memory_claimed"] == 2 * OWN + COMMON
    gate.unlink()
    await until(lambda: pool.statistics()["memory_claimed"] == 2 * OWN)


async def test_heavy_work_whose_worker_holds_what_it_needs_is_light(
    make_pool: PoolMaker, tmp_path: Path
) -> None:
    """The first tile of a large source takes seconds, its neighbours milliseconds."""
    pool = await make_pool(workers=2)
    warm = task("echo", affinity="a", heavy=True, share=1)
    await pool.run(warm)
    elsewhere = next(key for key in "bcdefghijkl" if rank_slots(key, 2)[0] != rank_slots("a", 2, 1)[0])
    async with held(pool, tmp_path, 1, heavy=True, affinity=elsewhere):
        cold = asyncio.create_task(pool.run(task("echo", affinity="b", heavy=True, share=1)))
        await pool.run(warm)
        assert not cold.done()
    await cold


@pytest.mark.parametrize(("workers", "heavy"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (16, 12)])
async def test_a_floor_of_workers_is_left_to_light_work(workers: int, heavy: int) -> None:
    """A quarter of them, and one at least, but of one worker."""
    assert Admission(PoolSettings("", workers=workers)).statistics()["max_heavy"] == heavy

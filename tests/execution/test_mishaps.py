"""Workers that hang, crash and are killed: who notices, and who does not."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from iiif_server.errors import RenderFailed, ServerBusy, SourceSetAside, TaskTimeout, WorkerDied
from iiif_server.execution.pool import WorkerPool
from tests.execution.conftest import PoolMaker, pids, task


def received(pool: WorkerPool) -> int:
    """How much of an answer has come so far."""
    worker = pool._slots[0]._worker
    assert worker is not None
    return worker._decoder._field.filled


async def started_anew(pool: WorkerPool, former: set[int | None]) -> None:
    """Wait until no place has a former process. Its successor need not be ready, or be there."""
    async with asyncio.timeout(10):
        while not former.isdisjoint(slot.pid for slot in pool._slots):
            await asyncio.sleep(0.005)


async def wait_until_ready(pool: WorkerPool, count: int, *, within: float) -> None:
    async with asyncio.timeout(within):
        while pool.status()["ready"] != count:
            await asyncio.sleep(0.005)


async def test_a_task_past_its_deadline_is_ended_and_the_next_one_served(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, timeout=1)
    before = pids(pool)
    started = time.perf_counter()
    with pytest.raises(TaskTimeout):
        await pool.run(task("sleep", 30))
    assert 1 <= time.perf_counter() - started < 10
    assert (await asyncio.wait_for(pool.run(task("echo", 1)), 10)).meta["value"] == 1
    assert pids(pool) != before
    assert pool.status()["retries"] == 0


async def test_a_task_may_have_a_deadline_of_its_own(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, timeout=0.1)
    await pool.run(task("sleep", 0.3, timeout=5))
    assert pool.status()["timeouts"] == pool.status()["deaths"] == 0


async def test_the_deadline_counts_from_the_hand_over(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, timeout=2.5)
    await asyncio.gather(*(pool.run(task("sleep", 0.7)) for _ in range(4)))
    assert (pool.status()["tasks"], pool.status()["timeouts"]) == (4, 0)


async def test_a_stopped_worker_is_replaced_and_the_others_go_on(make_pool: PoolMaker) -> None:
    pool = await make_pool(timeout=2)
    stopped = (await pool.run(task("echo", affinity="a"))).meta["pid"]
    os.kill(stopped, signal.SIGSTOP)
    stuck = asyncio.create_task(pool.run(task("echo", affinity="a")))
    await asyncio.sleep(0)
    for _ in range(20):
        assert (await pool.run(task("echo", affinity="a"))).meta["pid"] != stopped
    with pytest.raises(TaskTimeout):
        await stuck
    await wait_until_ready(pool, 2, within=10)
    assert stopped not in pids(pool)


async def test_a_worker_stopped_in_the_middle_of_an_answer_does_not_stop_the_loop(
    make_pool: PoolMaker,
) -> None:
    pool = await make_pool(workers=1, timeout=6)
    (pid,) = pids(pool)
    stuck = asyncio.create_task(pool.run(task("body", 300_000_000)))
    async with asyncio.timeout(30):
        while received(pool) < 1_000_000:
            await asyncio.sleep(0)
    os.kill(pid, signal.SIGSTOP)
    assert received(pool) < 300_000_000
    longest = 0.0
    while not stuck.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    assert longest < 3  # not for as long as the worker is stopped, however busy the machine is
    with pytest.raises(TaskTimeout):
        await stuck


@pytest.mark.parametrize(("how", "retries"), [("segfault", 1), ("exit", 1), ("kill", 2)])
async def test_a_crash_is_tried_again_and_then_answered(
    make_pool: PoolMaker, how: str, retries: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Once, or twice if it may have been somebody else's doing."""
    pool = await make_pool()
    with pytest.raises(WorkerDied):
        await pool.run(task("crash", how))
    assert pool.status()["deaths"] == retries + 1
    assert pool.status()["retries"] == retries
    await wait_until_ready(pool, 2, within=10)
    assert (await pool.run(task("echo", 1))).meta["value"] == 1


async def test_an_accident_is_mended_by_the_retry(make_pool: PoolMaker, tmp_path: Path) -> None:
    pool = await make_pool(workers=1)
    await pool.run(task("crash_once", str(tmp_path / "marker")))
    assert pool.status()["deaths"] == 1


async def test_a_task_whose_workers_are_killed_one_after_the_other_is_done(
    make_pool: PoolMaker, gate: Path
) -> None:
    """As when all are: it is held against nobody."""
    pool = await make_pool()
    running = asyncio.create_task(pool.run(task("wait_while", str(gate), affinity="a")))
    for deaths in (1, 2):
        await asyncio.sleep(0.05)
        os.kill(next(slot.pid or 0 for slot in pool._slots if slot.job), signal.SIGKILL)
        async with asyncio.timeout(5):
            while pool.status()["deaths"] != deaths or not any(slot.job for slot in pool._slots):
                await asyncio.sleep(0.005)
    gate.unlink()
    await running
    assert pool.status()["quarantined"] == 0


async def test_an_abandoned_task_is_not_tried_again(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    running = asyncio.create_task(pool.run(task("sleep", 30)))
    await asyncio.sleep(0.05)
    running.cancel()
    os.kill(pids(pool)[0], signal.SIGKILL)
    await pool.run(task("echo"))
    assert pool.status()["retries"] == 0


async def test_a_worker_that_breaks_the_rules_is_ended(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    with pytest.raises(WorkerDied):
        await pool.run(task("nonsense"))
    await pool.run(task("echo"))


async def test_killing_workers_under_load_fails_no_request(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    done = asyncio.Event()

    async def client(number: int) -> int:
        count = 0
        while not done.is_set():
            await pool.run(task("sleep", 0.002, affinity=f"image {number % 3}"))
            count += 1
        return count

    clients = [asyncio.create_task(client(n)) for n in range(6)]
    for _ in range(5):
        await asyncio.sleep(0.15)
        await wait_until_ready(pool, 2, within=10)
        os.kill(pids(pool)[0], signal.SIGKILL)
    await asyncio.sleep(0.15)
    done.set()
    assert sum(await asyncio.gather(*clients)) > 20
    await wait_until_ready(pool, 2, within=10)
    assert pool.status()["restarts"] == 5
    assert pool.status()["quarantined"] == 0


@pytest.mark.parametrize("busy", [True, False])
async def test_all_workers_killed_at_once(make_pool: PoolMaker, busy: bool) -> None:
    pool = await make_pool()
    before = pids(pool)
    running = [asyncio.create_task(pool.run(task("sleep", 0.2))) for _ in range(2 if busy else 0)]
    await asyncio.sleep(0.05)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert len(await asyncio.gather(*running)) == len(running)
    await asyncio.wait_for(pool.run(task("echo")), 10)
    await wait_until_ready(pool, 2, within=10)
    assert not set(before) & set(pids(pool))


async def test_workers_killed_while_they_start_keep_what_waits_waiting(make_pool: PoolMaker) -> None:
    """Twice in a row: the next ones serve it."""
    pool = await make_pool("create_slowly", factory_argument=0.3)
    waiting = [asyncio.create_task(pool.run(task("sleep", 0.2))) for _ in range(8)]
    await asyncio.sleep(0.05)
    killed: set[int | None] = {None}
    for _ in range(3):
        await started_anew(pool, killed)
        killed |= {slot.pid for slot in pool._slots}
        for slot in pool._slots:
            os.kill(slot.pid or 0, signal.SIGKILL)

    assert len(await asyncio.wait_for(asyncio.gather(*waiting), 30)) == 8
    assert pool.status()["refused"] == 0


async def test_idle_workers_killed_again_and_again_are_replaced_ever_more_slowly(
    make_pool: PoolMaker,
) -> None:
    pool = await make_pool(workers=1)
    started = time.perf_counter()
    for _ in range(4):
        former = {slot.pid for slot in pool._slots}
        os.kill(pids(pool)[0], signal.SIGKILL)
        await started_anew(pool, former)
        await wait_until_ready(pool, 1, within=10)
    assert 0.7 < time.perf_counter() - started < 20


@pytest.mark.parametrize("how", ["exit", "kill"])
async def test_a_source_that_kills_workers_is_set_aside(make_pool: PoolMaker, how: str) -> None:
    pool = await make_pool()
    with pytest.raises(WorkerDied):
        await pool.run(task("crash", how, affinity="poison"))
    deaths = pool.status()["deaths"]
    with pytest.raises(SourceSetAside) as caught:
        await pool.run(task("crash", how, affinity="poison"))
    assert pool.status()["deaths"] == deaths  # no worker was asked
    assert caught.value.retry_after is not None
    assert 250 < caught.value.retry_after <= 300
    assert pool.status()["quarantined"] == 1
    await pool.run(task("echo", affinity="good"))


async def test_a_source_that_hangs_workers_is_set_aside(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, timeout=0.1)
    for _ in range(2):
        with pytest.raises(TaskTimeout):
            await pool.run(task("sleep", 30, affinity="slow"))
    with pytest.raises(SourceSetAside):
        await pool.run(task("echo", affinity="slow"))


async def test_what_waits_for_a_poisonous_source_is_refused_with_it(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    results = await asyncio.gather(
        *(pool.run(task("crash", "exit", affinity="poison")) for _ in range(8)),
        pool.run(task("echo", affinity="good")),
        return_exceptions=True,
    )
    kinds = [type(result) for result in results[:8]]
    assert kinds.count(WorkerDied) == 1
    assert kinds.count(SourceSetAside) == 7
    assert not isinstance(results[8], BaseException)
    assert pool.status()["deaths"] == 2


async def test_with_no_worker_to_be_had_nobody_is_kept_waiting(make_pool: PoolMaker, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.touch()
    pool = await make_pool("fail_unless", factory_argument=str(marker), workers=1)
    running = asyncio.create_task(pool.run(task("sleep", 30)))
    await asyncio.sleep(0.05)
    marker.unlink()
    os.kill(pids(pool)[0], signal.SIGKILL)
    with pytest.raises(ServerBusy):
        await asyncio.wait_for(running, 10)
    with pytest.raises(ServerBusy):
        await asyncio.wait_for(pool.run(task("echo")), 5)
    marker.touch()
    await wait_until_ready(pool, 1, within=10)
    await pool.run(task("echo"))


async def test_an_error_is_no_strike(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    for _ in range(5):
        with pytest.raises(RenderFailed):
            await pool.run(task("raise", KeyError(), affinity="odd"))
    await pool.run(task("echo", affinity="odd"))

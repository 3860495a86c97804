"""Work goes out, results and errors come back, in the order and to the worker they should."""

import asyncio
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from iiif_server.errors import RenderFailed, ServerBusy, SourceTooLarge, UnreadableSource
from iiif_server.execution.affinity import rank_slots
from iiif_server.execution.messages import Task
from iiif_server.execution.pool import PoolSettings, WorkerPool, WorkerStartFailed
from tests.execution.conftest import PoolMaker, pids, task
from tests.execution.handlers import HomeMade


def keys_preferring(slot: int, count: int) -> list[str]:
    return [key for key in map(str, range(1000)) if rank_slots(key, 2)[0] == slot][:count]


async def wait_until_busy(pool: WorkerPool, count: int) -> None:
    async with asyncio.timeout(5):
        while pool.status()["busy"] != count:
            await asyncio.sleep(0.005)


async def test_a_result_comes_back(make_pool: PoolMaker) -> None:
    pool = await make_pool(factory_argument={"open": 5})
    outcome = await pool.run(task("echo", {"a": [1, None, "ü"]}))
    assert outcome.meta["value"] == {"a": [1, None, "ü"]}
    assert outcome.meta["factory_argument"] == {"open": 5}
    assert outcome.body == b""


@pytest.mark.parametrize("size", [1, 20_000, 65_524, 65_536, 30_000_000])
async def test_a_body_of_any_size_comes_back_as_bytes(make_pool: PoolMaker, size: int) -> None:
    pool = await make_pool(workers=1)
    for _ in range(2):
        body = (await pool.run(task("body", size))).body
        assert type(body) is bytes
        assert body == (bytes(range(256)) * (size // 256 + 1))[:size]


async def test_workers_work_at_the_same_time(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool()
    first = asyncio.create_task(pool.run(task("wait_while", str(gate))))
    await wait_until_busy(pool, 1)
    second = await asyncio.wait_for(pool.run(task("echo")), 10)
    assert not first.done()
    gate.unlink()
    assert (await first).meta["pid"] != second.meta["pid"]


async def test_a_pool_tells_whether_a_task_takes_all_workers(make_pool: PoolMaker, gate: Path) -> None:
    for workers in (1, 2):
        pool = await make_pool(workers=workers)
        assert not pool.is_taken_by("mine")
        gate.touch()
        working = asyncio.create_task(pool.run(task("wait_while", str(gate), "mine")))
        await wait_until_busy(pool, 1)
        assert pool.is_taken_by("mine") == (workers == 1)
        assert not pool.is_taken_by("another")
        gate.unlink()
        await working
        assert not pool.is_taken_by("mine")


async def test_an_error_of_ours_crosses_the_border(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    with pytest.raises(UnreadableSource, match="damaged") as caught:
        await pool.run(task("raise", UnreadableSource("It is damaged.", log="/path", retry_after=4)))
    assert (caught.value.log, caught.value.retry_after) == ("/path", 4)


async def test_an_error_with_a_constructor_of_its_own_keeps_its_text(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    with pytest.raises(RenderFailed, match="teapot") as caught:
        await pool.run(task("raise", HomeMade("red")))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("method", "argument"), [("raise", KeyError("/secret")), ("absent", None), ("unjson", None)]
)
async def test_any_other_error_becomes_one_without_secrets(
    make_pool: PoolMaker, method: str, argument: object
) -> None:
    pool = await make_pool(workers=1)
    with pytest.raises(RenderFailed, match=r"^The image could not be made\.$") as caught:
        await pool.run(task(method, argument))
    assert "Traceback" in caught.value.log
    assert (await pool.run(task("echo", 1))).meta["value"] == 1
    assert pool.status()["restarts"] == 0


async def test_an_argument_that_cannot_be_pickled_is_the_callers_error(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    with pytest.raises(Exception, match="pickle"):
        await pool.run(task("echo", lambda: None))
    assert (await pool.run(task("echo", 1))).meta["value"] == 1


async def test_a_body_beyond_the_limit_is_an_error(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, max_answer=1000)
    assert len((await pool.run(task("body", 1000))).body) == 1000
    with pytest.raises(RenderFailed, match="too large"):
        await pool.run(task("body", 1001))


async def test_a_source_sticks_to_its_worker(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    homes = {}
    for key in map(str, range(10)):
        found = {(await pool.run(task("echo", affinity=key))).meta["pid"] for _ in range(4)}
        assert len(found) == 1
        homes[key] = found.pop()
    assert len(set(homes.values())) == 2


async def test_a_source_spills_over_while_its_worker_is_busy(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    first, second = await asyncio.gather(
        *(pool.run(task("sleep", 0.2, affinity="same")) for _ in range(2)), return_exceptions=False
    )
    assert first.meta["pid"] != second.meta["pid"]


async def test_work_waits_for_the_worker_that_has_what_it_needs_while_another_is_idle(
    make_pool: PoolMaker,
) -> None:
    pool = await make_pool()
    jobs = [asyncio.create_task(pool.run(task("sleep", 0.3, affinity="same", share=0)))]
    jobs += [asyncio.create_task(pool.run(task("echo", affinity="same", share=0))) for _ in range(5)]
    jobs += [asyncio.create_task(pool.run(task("echo", affinity="same", share=1)))]
    *together, apart = [outcome.meta["pid"] for outcome in await asyncio.gather(*jobs)]
    assert len(set(together)) == 1
    assert apart not in together


async def test_work_waits_no_longer_than_it_would_take_to_begin_again(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    first = await pool.run(task("sleep", 0.1, affinity="same", share=0))
    long = asyncio.create_task(pool.run(task("sleep", 1.0, affinity="same", share=0)))
    await wait_until_busy(pool, 1)
    spilled = await pool.run(task("echo", affinity="same", share=0))
    assert not long.done()
    assert spilled.meta["pid"] != first.meta["pid"]
    assert (await long).meta["pid"] == first.meta["pid"]


async def test_work_does_not_wait_for_a_worker_that_died(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    held = asyncio.create_task(pool.run(task("sleep", 20.0, affinity="same", share=0)))
    await wait_until_busy(pool, 1)
    waiting = asyncio.create_task(pool.run(task("echo", affinity="same", share=0)))
    busy = pids(pool)[rank_slots("same", 2, 0)[0]]
    held.cancel()
    os.kill(busy, signal.SIGKILL)
    assert (await waiting).meta["pid"] != busy


async def test_waiting_work_goes_to_the_worker_that_knows_its_source(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    keys = [key for pair in zip(keys_preferring(0, 3), keys_preferring(1, 3), strict=True) for key in pair]
    outcomes = await asyncio.gather(*(pool.run(task("sleep", 0.03, affinity=key)) for key in keys))
    assert len({outcome.meta["pid"] for outcome in outcomes[::2]}) == 1
    assert len({outcome.meta["pid"] for outcome in outcomes[1::2]}) == 1


async def test_a_full_queue_refuses_at_once(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool(workers=1, queue_size=2)
    accepted = [asyncio.create_task(pool.run(task("wait_while", str(gate)))) for _ in range(3)]
    await wait_until_busy(pool, 1)
    with pytest.raises(ServerBusy) as caught:
        await pool.run(task("echo"))  # would wait for the gate, were it not refused
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    with pytest.raises(ServerBusy):
        pool.check_room()
    assert pool.room == 0
    gate.unlink()
    assert len(await asyncio.gather(*accepted)) == 3
    assert pool.room == 2
    pool.check_room()
    pool.check_room(coming=1)
    with pytest.raises(ServerBusy):
        pool.check_room(coming=2)
    assert pool.statistics()["refused"] == 3


async def test_cancelled_work_that_waits_is_never_done(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool(workers=1)
    running = asyncio.create_task(pool.run(task("wait_while", str(gate))))
    await wait_until_busy(pool, 1)
    waiting = [asyncio.create_task(pool.run(task("sleep", 30))) for _ in range(20)]
    await asyncio.sleep(0)
    assert pool.status()["waiting"] == 20
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert pool.status()["waiting"] == 0
    gate.unlink()
    await running
    await asyncio.wait_for(pool.run(task("echo")), 10)


async def test_cancelled_work_that_runs_is_left_to_end(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool(workers=1)
    pids = pool.status()["pids"]
    running = asyncio.create_task(pool.run(task("wait_while", str(gate))))
    await wait_until_busy(pool, 1)
    running.cancel()
    gate.unlink()
    assert (await pool.run(task("echo", "next"))).meta["value"] == "next"
    assert pool.status()["pids"] == pids


@pytest.mark.parametrize(("workers", "expected"), [(1, 1), (2, 1), (3, 2)])
async def test_heavy_work_leaves_a_worker_to_light_work(
    make_pool: PoolMaker, gate: Path, workers: int, expected: int
) -> None:
    pool = await make_pool(workers=workers)
    work = task("wait_while", str(gate), heavy=True)
    heavy = [asyncio.create_task(pool.run(work)) for _ in range(workers + 1)]
    await wait_until_busy(pool, expected)
    await asyncio.sleep(0.05)
    assert pool.status()["heavy"] == expected
    if workers > 1:
        await asyncio.wait_for(pool.run(task("echo")), 10)
    gate.unlink()
    await asyncio.gather(*heavy)


async def test_a_worker_is_replaced_after_its_share_of_tasks(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, max_tasks=3)
    pids = [(await pool.run(task("echo"))).meta["pid"] for _ in range(7)]
    assert len(set(pids)) == 3
    assert pool.status()["deaths"] == 0


async def test_a_worker_that_has_grown_is_replaced_and_its_answer_kept(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=2, max_memory=150_000_000)
    (old,) = {(await pool.run(task("hoard", 100_000_000, affinity="a"))).meta["pid"] for _ in range(2)}
    new = (await pool.run(task("echo", affinity="a"))).meta["pid"]
    assert new != old
    assert pool.status()["recycled"] == 1


async def test_workers_are_replaced_one_at_a_time(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=3, max_tasks=1)
    fewest = 3

    async def caller() -> None:
        nonlocal fewest
        for _ in range(5):
            await pool.run(task("echo"))
            fewest = min(fewest, int(str(pool.status()["ready"])))

    await asyncio.gather(*(caller() for _ in range(6)))
    assert fewest == 2


async def test_a_memory_bomb_is_an_error_and_costs_the_worker(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, memory_limit=300_000_000)
    pids = pool.status()["pids"]
    with pytest.raises(SourceTooLarge):
        await pool.run(task("bomb", 1_000_000_000))
    await pool.run(task("echo"))
    assert pool.status()["pids"] != pids
    assert pool.status()["deaths"] == 0


async def test_a_worker_imports_neither_asyncio_nor_aiohttp(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    modules = (await pool.run(task("modules"))).meta["modules"]
    assert {"asyncio", "aiohttp", "multiprocessing"}.isdisjoint(modules)


@pytest.mark.skipif(not find_spec("iiif_server.imaging.workbench"), reason="the real factory is not here")
async def test_a_worker_with_the_real_handlers_imports_neither(make_pool: PoolMaker) -> None:
    from iiif_server.imaging.tasks import WorkbenchSettings

    pool = await make_pool("create_real", factory_argument=WorkbenchSettings(), workers=1)
    modules = (await pool.run(task("modules"))).meta["modules"]
    assert "PIL" in modules
    assert {"asyncio", "aiohttp"}.isdisjoint(modules)


async def test_a_worker_inherits_only_what_it_needs(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=3)
    for _ in range(3):
        meta = (await pool.run(task("surroundings"))).meta
        descriptors = meta["descriptors"]
        assert descriptors.pop("0") == "/dev/null"
        sockets = [target for number, target in descriptors.items() if int(number) > 2 and "socket" in target]
        assert len(sockets) == 1
        assert meta["ignored"] == ["SIGINT", "SIGTERM"]


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("fail", "LookupError: 'no codec for tiff'|no codec for tiff"),
        ("absent", "has no attribute 'absent'"),
        ("vanish", "ended before it was ready"),
        ("hang", "no sign of life within 0.5 seconds"),
    ],
)
async def test_a_bad_start_is_explained_and_leaves_nothing(
    make_pool: PoolMaker, factory: str, text: str
) -> None:
    with pytest.raises(WorkerStartFailed, match=text):
        await make_pool(factory, factory_argument="tiff", start_timeout=0.5 if factory == "hang" else 20)


async def test_a_pool_that_was_not_started_says_so() -> None:
    pool = WorkerPool(PoolSettings(factory="tests.execution.handlers:create"))
    with pytest.raises(RuntimeError, match="not started"):
        await pool.run(Task("echo", None, ""))
    await pool.close()
    with pytest.raises(RuntimeError, match="once"):
        await pool.start()

"""Nothing outlives the pool, and the pool's workers do not outlive the server."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from iiif_server.errors import ServerBusy, TaskTimeout
from iiif_server.execution.pool import PoolSettings, WorkerPool, WorkerStartFailed
from tests.execution.conftest import PoolMaker, pids, task

SETTINGS = PoolSettings(factory="tests.execution.handlers:create")

SERVER = """
import asyncio
import signal
from iiif_server.execution.messages import Task
from iiif_server.execution.pool import PoolSettings, WorkerPool

# A shell has what it runs in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    pool = WorkerPool(PoolSettings(factory="tests.execution.handlers:create"))
    await pool.start()
    asyncio.create_task(pool.run(Task("sleep", 60, "")))
    await asyncio.sleep(0.1)
    print(*pool.status()["pids"], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_closing_finishes_what_was_accepted(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1)
    running = [asyncio.create_task(pool.run(task("sleep", 0.1))) for _ in range(3)]
    await asyncio.sleep(0)
    await pool.close(grace=5)
    assert len(await asyncio.gather(*running)) == 3
    with pytest.raises(ServerBusy, match="shutting down"):
        await pool.run(task("echo"))


async def test_closing_does_not_wait_beyond_its_grace(make_pool: PoolMaker) -> None:
    pool = await make_pool()
    running = asyncio.create_task(pool.run(task("sleep", 60)))
    abandoned = asyncio.create_task(pool.run(task("sleep", 60)))
    await asyncio.sleep(0.05)
    abandoned.cancel()
    started = time.perf_counter()
    await asyncio.gather(pool.close(grace=0.2), pool.close(grace=0.2))
    assert time.perf_counter() - started < 10
    with pytest.raises(ServerBusy):
        await running


async def test_closing_leaves_no_process_and_no_descriptor() -> None:
    me = psutil.Process()
    children, descriptors = set(me.children()), me.num_fds()
    for _ in range(3):
        pool = WorkerPool(SETTINGS)
        await pool.start()
        await pool.run(task("echo"))
        os.kill((await pool.run(task("echo"))).meta["pid"], signal.SIGKILL)
        await pool.close()
        await pool.close()
    assert set(me.children()) == children
    assert me.num_fds() == descriptors


async def test_closing_while_workers_start_leaves_nothing() -> None:
    pool = WorkerPool(PoolSettings(factory="tests.execution.handlers:hang"))
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pool.status()["pids"] == []


async def test_a_start_that_is_closed_upon_ends_with_an_error() -> None:
    pool = WorkerPool(PoolSettings(factory="tests.execution.handlers:hang"))
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0.05)
    await asyncio.wait_for(pool.close(), 5)
    with pytest.raises(WorkerStartFailed):
        await asyncio.wait_for(starting, 10)


async def test_many_replacements_leak_no_descriptor(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, max_tasks=1)
    await pool.run(task("echo"))
    await pool.run(task("echo"))
    before = psutil.Process().num_fds()
    for _ in range(10):
        await pool.run(task("echo"))
    assert psutil.Process().num_fds() <= before + 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_do_not_outlive_the_server(number: int) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with server:
        assert server.stdout is not None
        assert server.stderr is not None
        workers = [psutil.Process(int(pid)) for pid in server.stdout.readline().split()]
        assert len(workers) == 2
        server.send_signal(number)
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        if number == signal.SIGINT:
            assert b"worker" not in server.stderr.read()


@pytest.fixture(scope="module")
def uvloop() -> Any:
    """The library keeps a pipe for signals from its first loop on; that is not a leak of ours."""
    module = pytest.importorskip("uvloop", reason="the extra uvloop is not installed")
    module.run(asyncio.sleep(0))
    return module


def test_it_works_under_uvloop(uvloop: Any) -> None:
    async def main() -> None:
        pool = WorkerPool(SETTINGS)
        await pool.start()
        for size in (0, 20_000, 30_000_000):
            body = (await pool.run(task("body", size))).body
            assert body == (bytes(range(256)) * (size // 256 + 1))[:size]
        with pytest.raises(TaskTimeout):
            await pool.run(task("sleep", 60, timeout=0.2))
        os.kill((await pool.run(task("echo"))).meta["pid"], signal.SIGKILL)
        await pool.run(task("echo"))
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        assert len(await asyncio.gather(*(pool.run(task("echo")) for _ in range(8)))) == 8
        await pool.close()

    uvloop.run(main())


def test_a_worker_whose_server_is_gone_before_it_could_tell_ends_at_once(importable_handlers: None) -> None:
    command = [sys.executable, "-m", "iiif_server.execution.worker", "0", "1"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=10, check=False).returncode == 0

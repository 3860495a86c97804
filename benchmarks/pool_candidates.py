"""Our worker pool beside four others: speed, deadlines, and what a killed worker costs.

Run as ``python benchmarks/pool_candidates.py`` with ``pebble``, ``loky`` and ``psutil`` installed; it takes
less than 90 seconds. Every pool has one worker, started fresh (spawn), and is driven from asyncio as a web
server would.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import loky
import pebble
import psutil

from iiif_server.execution.messages import Task
from iiif_server.execution.pool import PoolSettings, WorkerPool

RESULT = 20_000
DEADLINE = 0.3
PATIENCE = 4.0
HELPERS = ("resource_tracker", "forkserver")


def make_body(size: int) -> bytes:
    return bytes(size)


def sleep(seconds: float) -> bytes:
    time.sleep(seconds)
    return b""


def create(_: object) -> dict[str, Callable[[Any], tuple[dict[str, Any], bytes]]]:
    """The factory for our own pool."""
    return {"make_body": lambda size: ({}, make_body(size)), "sleep": lambda seconds: ({}, sleep(seconds))}


class Ours:
    name = "ours"

    async def open(self) -> None:
        self.pool = WorkerPool(PoolSettings(factory="pool_candidates:create", workers=1))
        await self.pool.start()

    async def run(self, function: Callable[[Any], bytes], argument: object) -> bytes:
        return (await self.pool.run(Task(function.__name__, argument, ""))).body

    async def run_with_deadline(self) -> None:
        await self.pool.run(Task("sleep", 60, "", timeout=DEADLINE))

    async def close(self) -> None:
        await self.pool.close()


class Futures:
    """What has ``submit``; a deadline means killing the worker and making a new executor."""

    name = "concurrent.futures"

    async def open(self) -> None:
        self.pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    async def run(self, function: Callable[[Any], bytes], argument: object) -> bytes:
        return await asyncio.wrap_future(self.pool.submit(function, argument))

    async def run_with_deadline(self) -> None:
        task = asyncio.create_task(self.run(sleep, 60))
        await asyncio.wait([task], timeout=DEADLINE)
        kill_workers()
        await asyncio.gather(task, return_exceptions=True)
        await self.close()
        await self.open()

    async def close(self) -> None:
        await asyncio.to_thread(self.pool.shutdown)


class Loky(Futures):
    name = "loky"

    async def open(self) -> None:
        self.pool = loky.ProcessPoolExecutor(1)


class Pebble(Futures):
    name = "pebble"

    async def open(self) -> None:
        self.pool = pebble.ProcessPool(1, context=multiprocessing.get_context("spawn"))

    async def run(self, function: Callable[[Any], bytes], argument: object) -> bytes:
        return await asyncio.wrap_future(self.pool.submit(function, None, argument))

    async def run_with_deadline(self) -> None:
        await asyncio.wrap_future(self.pool.submit(sleep, DEADLINE, 60))

    async def close(self) -> None:
        await asyncio.to_thread(self.pool.stop)
        await asyncio.to_thread(self.pool.join)


class Multiprocessing(Futures):
    name = "multiprocessing.Pool"

    async def open(self) -> None:
        self.pool = await asyncio.to_thread(multiprocessing.get_context("spawn").Pool, 1)

    async def run(self, function: Callable[[Any], bytes], argument: object) -> bytes:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def settle(result: object) -> None:
            if not future.done():
                future.set_result(result)

        def done(result: object) -> None:
            loop.call_soon_threadsafe(settle, result)

        self.pool.apply_async(function, (argument,), callback=done, error_callback=done)
        return await future

    async def run_with_deadline(self) -> None:
        task = asyncio.create_task(self.run(sleep, 60))
        await asyncio.wait([task], timeout=DEADLINE)
        kill_workers()
        task.cancel()

    async def close(self) -> None:
        await asyncio.to_thread(self.pool.terminate)


def children() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if not any(helper in " ".join(child.cmdline()) for helper in HELPERS):
                found.append(child)
        except psutil.Error:
            continue
    return found


def kill_workers() -> None:
    for child in children():
        os.kill(child.pid, signal.SIGKILL)


async def time_latency(pool: Any) -> float:
    """Median milliseconds for one caller."""
    times = []
    until = time.perf_counter() + 0.5
    while (started := time.perf_counter()) < until:
        await pool.run(make_body, RESULT)
        times.append(time.perf_counter() - started)
    return median(times) * 1000


async def count_throughput(pool: Any) -> float:
    """Tasks per second for 32 callers."""
    until = time.perf_counter() + 0.8

    async def caller() -> int:
        count = 0
        while time.perf_counter() < until:
            await pool.run(make_body, RESULT)
            count += 1
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(caller() for _ in range(32)))
    return sum(counts) / (time.perf_counter() - started)


async def time_deadline(pool: Any) -> float:
    """Milliseconds from a task's deadline until the next task is done."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        await outcome(pool.run_with_deadline())
        await outcome(pool.run(make_body, RESULT))
        times.append(time.perf_counter() - started - DEADLINE)
    return median(times) * 1000


async def outcome(work: Awaitable[object]) -> str:
    try:
        await asyncio.wait_for(work, PATIENCE)
    except TimeoutError:
        return "never"
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, it is the result
        return type(error).__name__
    return "done"


async def kill_one(pool: Any) -> tuple[str, str]:
    """What becomes of the task in flight, and of the next one, when the worker is killed."""
    task = asyncio.create_task(pool.run(sleep, 0.5))
    await asyncio.sleep(0.25)
    kill_workers()
    return await outcome(task), await outcome(pool.run(make_body, RESULT))


def cpu_seconds() -> float:
    """Processor time of this process and its workers so far."""
    return sum(sum(p.cpu_times()[:2]) for p in [psutil.Process(), *children()])


async def measure_speed(pools: list[Any]) -> list[list[float]]:
    """Latency, throughput and processor time per task; in rounds, so that a noisy moment hits all alike."""
    figures: list[list[tuple[float, float, float]]] = [[] for _ in pools]
    for pool in pools:
        await pool.open()
        await pool.run(make_body, RESULT)
    for _ in range(5):
        for pool, found in zip(pools, figures, strict=True):
            latency = await time_latency(pool)
            before, started = cpu_seconds(), time.perf_counter()
            throughput = await count_throughput(pool)
            tasks = throughput * (time.perf_counter() - started)
            found.append((latency, throughput, (cpu_seconds() - before) / tasks * 1000))
    for pool in pools:
        await pool.close()
    return [[median(column) for column in zip(*found, strict=True)] for found in figures]


async def measure_mishaps(pool: Any) -> list[Any]:
    """Recovery after a deadline, what a killed worker costs, and how many processes are left in the end."""
    await pool.open()
    await pool.run(make_body, RESULT)
    figures = [await time_deadline(pool), *await kill_one(pool)]
    try:
        await asyncio.wait_for(pool.close(), PATIENCE)
    except TimeoutError:
        kill_workers()
        return [*figures, "close hangs"]
    await asyncio.sleep(0.5)
    return [*figures, len(children())]


def show(pools: list[Any], speed: list[list[float]], mishaps: list[list[Any]]) -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, results of {RESULT} bytes, one worker")
    print(f"{'':22}{'latency p50':>16}{'throughput':>16}{'CPU per task':>16}{'after deadline':>17}  ", end="")
    print(f"{'killed: in flight':22}{'next':22}left")
    for pool, (latency, throughput, cpu), (recovery, in_flight, following, left) in zip(
        pools, speed, mishaps, strict=True
    ):
        print(
            f"{pool.name:22}{latency:7.2f} ms {latency / speed[0][0]:4.1f}x"
            f"{throughput:8.0f}/s {throughput / speed[0][1]:4.1f}x"
            f"{cpu:7.2f} ms {cpu / speed[0][2]:4.1f}x"
            f"{recovery:8.0f} ms {recovery / mishaps[0][0]:4.1f}x  {in_flight:22}{following:22}{left}"
        )


async def main() -> None:
    pools = [Ours(), Futures(), Pebble(), Loky(), Multiprocessing()]
    speed = await measure_speed(pools)
    show(pools, speed, [await measure_mishaps(pool) for pool in pools])


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    asyncio.run(main())

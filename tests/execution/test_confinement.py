"""What processes do to themselves, seen in processes of their own."""

import asyncio
import os
import subprocess
import sys

import psutil
import pytest

from tests.execution.conftest import PoolMaker, task

MIB = 1 << 20

HOLES = """
import threading
from iiif_server.execution.confinement import MemoryGauge, give_back_what_is_freed
if {wanted}:
    give_back_what_is_freed()
gauge, small = MemoryGauge(), []

def read(size):
    bodies = []
    for _ in range(40):
        bodies.append(bytes(size))
        small.append(bytes(700))
    del bodies[:]

def read_in_a_thread(size):
    thread = threading.Thread(target=read, args=(size,))
    thread.start()
    thread.join()

before = gauge.read()
for size in (200_000, 400_000, 1_000_000, 300_000, 900_000):
    read(size)
    read_in_a_thread(size)
print(gauge.read() - before)
"""


def growth(*, wanted: bool, **environment: str) -> int:
    """Bytes that a process has more once it has let go of images of several sizes."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    script = HOLES.format(wanted=wanted)
    run = subprocess.run(
        [sys.executable, "-c", script], env=plain | environment, check=True, capture_output=True, text=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_what_is_freed_goes_back() -> None:
    assert growth(wanted=True) < 2 * MIB
    assert growth(wanted=False) > 5 * MIB


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_the_environment_has_the_last_word() -> None:
    """An operator who measured something else."""
    assert growth(wanted=True, MALLOC_ARENA_MAX="8") > 5 * MIB


SPARE = """
from iiif_server.execution.confinement import MemoryGauge, SpareMemory
gauge = MemoryGauge()
spare, before = SpareMemory(gauge), gauge.read()

def task(count, keep=0):
    # As decoders have it: in blocks that glibc keeps, with something small behind the last one.
    blocks = [bytearray(12 << 20) for _ in range(count)]
    return blocks[:keep], bytearray(2000)

first = task(2)
first = task(16)
left = gauge.read() - before
if {wanted}:
    spare.give_back()
print(left, gauge.read() - before)
kept = task(16, keep=8)
if {wanted}:
    spare.give_back()
print(gauge.read() - before)
"""


def spare(*, wanted: bool) -> list[int]:
    script = SPARE.format(wanted=wanted)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    run = subprocess.run(
        [sys.executable, "-c", script], env=plain, check=True, capture_output=True, text=True
    )
    return [int(word) for word in run.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_what_tasks_have_left_goes_back() -> None:
    """What they keep stays."""
    left, after, keeping = spare(wanted=True)
    assert left > 100 * MIB
    assert after < 2 * MIB
    assert 90 * MIB < keeping < 100 * MIB
    assert min(spare(wanted=False)) > 100 * MIB


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
async def test_a_worker_without_work_gives_back_what_is_free(make_pool: PoolMaker) -> None:
    """What images were in, between what is kept; the next task is done as ever."""
    pool = await make_pool(workers=1)
    busy = (await pool.run(task("holes", 40 * MIB))).meta
    resident = psutil.Process(busy["pid"]).memory_info
    async with asyncio.timeout(20):
        while resident().rss > busy["rss"] - 20 * MIB:
            await asyncio.sleep(0.05)

    assert (await pool.run(task("echo"))).meta["pid"] == busy["pid"]

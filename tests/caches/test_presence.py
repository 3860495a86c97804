"""Many who ask at once whether something is there share a way to a thread and back."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from iiif_server.caches.presence import Presence
from iiif_server.caches.threads import Threads


class Disk:
    """Has some keys, and tells which threads asked; slow while its gate is closed."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.threads: set[int] = set()

    def has(self, key: str) -> bool:
        self.reached.set()
        self.gate.wait(10)
        self.asked.append(key)
        self.threads.add(threading.get_ident())
        return key.startswith("there")


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    disk = Disk()
    yield disk
    disk.gate.set()


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(1, "test")
    yield threads
    await threads.close()


async def ask(presence: Presence, *keys: str) -> list[asyncio.Task[bool]]:
    """Begin to ask."""
    tasks = [asyncio.create_task(presence.of(key)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def reached(disk: Disk) -> None:
    """Wait until a disk is being asked."""
    assert await asyncio.to_thread(disk.reached.wait, 10)


async def test_each_is_told_of_its_own(disk: Disk, threads: Threads) -> None:
    presence = Presence(disk.has, threads)
    keys = ["there 1", "away", "there 2", "there 1"]
    assert await asyncio.gather(*map(presence.of, keys)) == [True, False, True, True]
    assert sorted(disk.asked) == sorted(keys)
    assert threading.get_ident() not in disk.threads
    assert await presence.of("there 3")
    await presence.close()


async def test_what_is_asked_meanwhile_waits_for_the_next_batch(disk: Disk, threads: Threads) -> None:
    presence = Presence(disk.has, threads)
    disk.gate.clear()
    first = await ask(presence, "there")
    await reached(disk)
    second = await ask(presence, "there", "away")
    await asyncio.sleep(0.02)
    assert disk.asked == []
    disk.gate.set()
    assert await asyncio.gather(*first, *second) == [True, True, False]
    assert disk.asked[0] == "there"
    assert len(disk.asked) == 3
    await presence.close()


async def test_more_than_may_wait_are_told_no_at_once(disk: Disk, threads: Threads) -> None:
    presence = Presence(disk.has, threads, most=2)
    disk.gate.clear()
    waiting = await ask(presence, "there", "there")
    assert not await asyncio.wait_for(presence.of("there"), 5)
    disk.gate.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await presence.of("there")
    await presence.close()


async def test_one_who_leaves_takes_no_answer_from_the_others(disk: Disk, threads: Threads) -> None:
    presence = Presence(disk.has, threads)
    leaving, staying = await ask(presence, "there", "there")
    leaving.cancel()
    assert await staying
    assert leaving.cancelled()
    await presence.close()


@pytest.mark.parametrize("is_looking", [False, True])
async def test_the_end_tells_all_no(disk: Disk, threads: Threads, is_looking: bool) -> None:
    presence = Presence(disk.has, threads)
    disk.gate.clear()
    waiting = await ask(presence, "there")
    if is_looking:
        await reached(disk)
        waiting += await ask(presence, "there")
    await presence.close()
    assert not any(await asyncio.gather(*waiting))
    assert not await presence.of("there")
    disk.gate.set()  # the thread ends


async def test_without_threads_nothing_is_known(disk: Disk) -> None:
    threads = Threads(1, "test")
    await threads.close()
    presence = Presence(disk.has, threads)
    assert not await presence.of("there")
    await presence.close()


async def test_a_disk_that_hangs_is_not_waited_for(disk: Disk, threads: Threads) -> None:
    presence = Presence(disk.has, threads, patience=0.05)
    disk.gate.clear()
    assert not await asyncio.wait_for(presence.of("there"), 5)
    disk.gate.set()
    assert await presence.of("there")
    await presence.close()

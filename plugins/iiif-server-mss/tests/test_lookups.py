"""What is remembered, for how long, and who shares a look-up."""

import asyncio

import pytest
from iiif_server.api import ImageNotFound

from iiif_server_mss.lookups import Lookups


class Asking:
    """A look-up that takes as long as a test wants."""

    def __init__(self):
        self.calls = []
        self.now = 0.0
        self.go = asyncio.Event()
        self.go.set()
        self.error = None
        self.cancelled = 0

    async def __call__(self, name):
        self.calls.append(name)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"{name}-{len(self.calls)}"


@pytest.fixture
async def asking():
    return Asking()


def lookups(asking, capacity=10, ttl=60.0, patience=10.0):
    return Lookups(asking, capacity, ttl, patience, lambda: asking.now)


async def test_an_answer_is_used_until_its_time_is_over(asking):
    known = lookups(asking)

    assert await known.get("a") == "a-1"
    asking.now = 59.9
    assert await known.get("a") == "a-1"
    asking.now = 60
    assert await known.get("a") == "a-2"


@pytest.mark.parametrize(("capacity", "ttl"), [(0, 60.0), (10, 0.0)])
async def test_nothing_is_remembered(asking, capacity, ttl):
    known = lookups(asking, capacity, ttl)

    assert [await known.get("a"), await known.get("a")] == ["a-1", "a-2"]
    assert len(known) == 0
    assert known.names(0) == []


async def test_a_failure_is_not_remembered_and_takes_no_answer_away(asking):
    known = lookups(asking)
    asking.error = RuntimeError("down")
    with pytest.raises(RuntimeError):
        await known.get("a")
    asking.error = None
    assert await known.get("a") == "a-2"
    asking.error = RuntimeError("down")
    with pytest.raises(RuntimeError):
        await known.refresh("a")

    assert await known.get("a") == "a-2"


async def test_what_is_gone_is_forgotten(asking):
    known = lookups(asking)
    await known.get("a")
    asking.error = ImageNotFound("gone")
    with pytest.raises(ImageNotFound):
        await known.refresh("a")
    asking.error = None

    assert not known.is_known("a")
    assert await known.get("a") == "a-3"


async def test_two_hundred_share_one(asking):
    known = lookups(asking)
    asking.go.clear()
    tasks = [asyncio.create_task(known.get("a")) for _ in range(200)]
    await asyncio.sleep(0)
    asking.go.set()

    assert set(await asyncio.gather(*tasks)) == {"a-1"}


async def test_the_last_who_leaves_ends_it_and_the_next_begins_anew(asking):
    known = lookups(asking)
    asking.go.clear()
    tasks = [asyncio.create_task(known.get("a")) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in tasks[:2]:
        task.cancel()
    await asyncio.sleep(0.01)
    assert asking.cancelled == 0
    tasks[2].cancel()
    await asyncio.wait(tasks)
    await asyncio.sleep(0.01)
    assert asking.cancelled == 1
    asking.go.set()

    assert await known.get("a") == "a-2"


async def test_patience_ends(asking):
    asking.go.clear()
    with pytest.raises(TimeoutError):
        await lookups(asking, patience=0.01).get("a")


async def test_the_oldest_come_first(asking):
    known = lookups(asking)
    for asking.now, name in ((1, "b"), (2, "a"), (3, "c")):
        await known.get(name)
    asking.now = 12

    assert known.names(10) == ["b", "a"]
    known.forget("b")
    assert known.names(10) == ["a"]


async def test_closing_ends_what_is_under_way(asking):
    known = lookups(asking)
    asking.go.clear()
    task = asyncio.create_task(known.get("a"))
    await asyncio.sleep(0.01)
    await known.close()
    await asyncio.wait([task])

    assert task.cancelled()
    assert asking.cancelled == 1

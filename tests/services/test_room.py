"""What there is no room for, in the order in which it came; and what needs none."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import cast

import pytest

from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.errors import ServerBusy
from iiif_server.execution.messages import TaskRunner
from iiif_server.services.image_requests import PreparedImage
from iiif_server.services.room import Room


class Pool:
    """Refuses as the pool does."""

    room = 2

    def check_room(self, coming: int = 0) -> None:
        if coming >= self.room:
            raise ServerBusy("full")


def wanted(key: str) -> PreparedImage:
    return cast("PreparedImage", SimpleNamespace(key=key))


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def room(pool: Pool) -> Room:
    cache = DerivativeCache(MemoryCache(1 << 20))
    cache.put_fast("kept", b"1")
    return Room(cast("TaskRunner", pool), cache, lambda prepared: prepared.key == "being made")


async def refused(room: Room, *keys: str, ahead: int = 0) -> list[bool]:
    return [error is not None for error in await room.refusals([wanted(key) for key in keys], ahead)]


async def test_as_many_are_let_in_as_there_is_room_for(room: Room) -> None:
    assert await refused(room, "a", "b", "c") == [False, False, True]
    assert await refused(room, "a", "b", ahead=1) == [False, True]


async def test_what_needs_no_worker_is_let_in_and_takes_no_place(room: Room) -> None:
    keys = ("kept", "a", "being made", "b", "kept", "c")
    assert await refused(room, *keys) == [False, False, False, False, False, True]
    assert await refused(room, "kept", "being made", ahead=100) == [False, False]


async def test_those_on_their_way_have_their_places_until_they_arrive_or_leave(room: Room) -> None:
    with room.on_its_way("a"):
        assert await refused(room, "b", "c") == [False, True]
        with suppress(RuntimeError), room.on_its_way("b"):
            with pytest.raises(ServerBusy):
                await room.check(wanted("c"))
            raise RuntimeError
        assert not room.is_full()
        room.arrived("a")
        assert await refused(room, "b", "c") == [False, False]
    assert not room.is_full(1)
    assert room.is_full(2)


async def test_where_there_is_room_the_caches_are_not_asked(pool: Pool) -> None:
    class Untouchable(DerivativeCache):
        async def holds(self, key: str) -> bool:
            raise AssertionError(key)

    room = Room(cast("TaskRunner", pool), Untouchable(MemoryCache(0)), lambda _: False)
    await asyncio.gather(*(room.check(wanted(key)) for key in "abc"))
    pool.room = 0
    with pytest.raises(AssertionError):
        await room.check(wanted("a"))

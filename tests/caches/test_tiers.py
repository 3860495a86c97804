"""Memory first, the store behind it, and no client waits for a write."""

import asyncio
from io import FileIO
from pathlib import Path

import pytest

from iiif_server.caches.derivative import Derivative, FileSlice
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.tiers import DerivativeCache
from tests.caches.conftest import DiskMaker
from tests.caches.helpers import body_of, cached, key_of

KEY = key_of("image")


class Store:
    """A store whose writes wait for a gate."""

    def __init__(self) -> None:
        self.entries: dict[str, Derivative] = {}
        self.gate = asyncio.Event()
        self.gets = 0
        self.is_shared = False
        self.claims: list[str] = []
        self.closed = False
        self.error: Exception | None = None

    async def holds(self, key: str) -> bool:
        return key in self.entries

    async def put(self, key: str, body: bytes) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.entries[key] = Derivative.of(body)

    async def find(self, key: str) -> Derivative | None:
        self.gets += 1
        return self.entries.get(key)

    async def claim(self, key: str) -> Derivative | bool:
        self.gets += 1
        if (found := self.entries.get(key)) is not None:
            return found
        self.claims.append(f"claim {len(self.entries)}")
        return self.is_shared

    def release(self, key: str) -> None:
        self.claims.append(f"release {len(self.entries)}")

    async def close(self) -> None:
        self.closed = True

    def statistics(self) -> dict[str, int]:
        return {"gets": self.gets}


@pytest.fixture
async def store() -> Store:
    return Store()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_put_is_found_at_once_and_written_behind_the_clients_back(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), store)
    await cache.put(KEY, b"body")
    assert body_of(cache.get_fast(KEY)) == b"body"
    assert store.entries == {}
    store.gate.set()
    await cache.close()
    assert store.entries[KEY].body == b"body"
    assert store.closed


async def test_a_body_too_large_for_memory_is_found_while_it_waits_to_be_written(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(0), store)
    await cache.put(KEY, b"body")
    assert body_of(cache.get_fast(KEY)) == b"body"
    assert body_of(await cached(cache, KEY)) == b"body"
    assert store.gets == 0
    store.gate.set()
    await settle()
    assert cache.get_fast(KEY) is None
    assert body_of(await cached(cache, KEY)) == b"body"
    await cache.close()


async def test_small_bodies_come_up_into_memory_and_open_files_do_not(store: Store, tmp_path: Path) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), store)
    store.entries[KEY] = Derivative.of(b"body")
    assert cache.get_fast(KEY) is None
    assert body_of(await cached(cache, KEY)) == b"body"
    assert body_of(cache.get_fast(KEY)) == b"body"
    assert cache.statistics()["memory"]["misses"] == 1

    other = key_of("large")
    (tmp_path / "file").write_bytes(b"large")
    store.entries[other] = Derivative(FileSlice(FileIO(tmp_path / "file"), 0, 5), 5)
    assert body_of(await cached(cache, other)) == b"large"
    assert cache.get_fast(other) is None
    await cache.close()


async def test_what_is_found_is_in_memory_from_then_on(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), store)
    assert await cache.find(KEY) is None
    store.entries[KEY] = Derivative.of(b"body")
    assert body_of(await cache.find(KEY)) == b"body"
    del store.entries[KEY]
    assert cache.recall(KEY) == b"body"
    await cache.close()
    store.entries[KEY] = Derivative.of(b"body")
    assert await cache.find(KEY) is None


async def test_memory_alone_is_a_cache(tmp_path: Path) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20))
    await cache.put(KEY, b"body")
    assert body_of(await cached(cache, KEY)) == b"body"
    assert await cached(cache, key_of("other")) is None
    assert await cache.find(KEY) is None  # there is nothing behind it
    await cache.close()
    assert cache.statistics()["store"] == {}


async def test_who_makes_alone_has_nothing_to_give_up(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(0), store)
    async with cache.making(KEY) as found:
        assert found is None
    assert (store.claims, store.gets) == (["claim 0"], 1)
    await cache.close()


async def test_the_right_is_the_stores_to_give_up_once_it_is_told_to_write(store: Store) -> None:
    store.is_shared = True
    cache = DerivativeCache(MemoryCache(0), store)
    async with cache.making(KEY) as found:
        assert found is None
        await cache.put(KEY, b"body")
    assert store.claims == ["claim 0"]
    async with cache.making(KEY) as found:
        assert body_of(found) == b"body"  # while it waits to be written
    store.gate.set()
    await settle()
    async with cache.making(KEY) as found:
        assert body_of(found) == b"body"
    assert store.claims == ["claim 0"]
    await cache.close()


async def test_the_right_to_what_can_not_be_written_is_given_up(store: Store) -> None:
    store.is_shared = True
    cache = DerivativeCache(MemoryCache(0), store, max_pending=0)
    async with cache.making(KEY):
        await cache.put(KEY, b"body")
    assert store.claims == ["claim 0", "release 0"]
    await cache.close()


@pytest.mark.parametrize("failure", [RuntimeError, asyncio.CancelledError])
async def test_the_right_is_given_up_by_whoever_fails(store: Store, failure: type[BaseException]) -> None:
    store.is_shared = True
    cache = DerivativeCache(MemoryCache(0), store)
    with pytest.raises(failure):
        async with cache.making(KEY):
            raise failure
    assert store.claims == ["claim 0", "release 0"]
    await cache.close()


async def test_what_another_process_made_is_whole_whatever_its_size(make_disk: DiskMaker) -> None:
    disk = make_disk(processes=2, small_bytes=10)
    await disk.put(KEY, b"larger than ten bytes")
    cache = DerivativeCache(MemoryCache(0), disk)
    async with cache.making(KEY) as found:
        assert body_of(found) == b"larger than ten bytes"
    await cache.close()


async def test_more_than_may_wait_is_not_written(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(0), store, max_pending=10, max_pending_bytes=1000)
    for number in range(15):
        await cache.put(key_of(number), bytes(10))
        await cache.put(key_of(number), bytes(10))
    assert cache.statistics()["pending"] == {"entries": 10, "bytes": 100, "skipped": 10}
    store.gate.set()
    await settle()
    await cache.put(KEY, bytes(1001))
    assert cache.statistics()["pending"] == {"entries": 0, "bytes": 0, "skipped": 11}
    assert len(store.entries) == 10
    await cache.close()


async def test_a_store_that_raises_is_logged_and_survived(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    cache = DerivativeCache(MemoryCache(0), store)
    store.error = RuntimeError("a bug")
    store.gate.set()
    await cache.put(KEY, b"body")
    await settle()
    assert caplog.messages == ["Derivative cache: Store failed to write"]
    assert cache.statistics()["pending"]["entries"] == 0
    await cache.close()


async def test_closing_gives_up_on_a_store_that_hangs(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), store, drain_seconds=0.01)
    await cache.put(KEY, b"body")
    await cache.put(key_of("other"), b"body")
    await cache.close()
    assert caplog.messages == ["Derivative cache: 2 writes were given up at the end"]
    assert cache.statistics()["pending"] == {"entries": 0, "bytes": 0, "skipped": 0}
    await cache.put(key_of("late"), b"body")
    assert store.closed


async def test_with_the_disk_behind_it_nothing_is_lost_at_a_restart(make_disk: DiskMaker) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), make_disk())
    bodies = {key_of(number): bytes([number]) * 1000 for number in range(100)}
    for key, body in bodies.items():
        await cache.put(key, body)
    await cache.close()
    again = DerivativeCache(MemoryCache(1 << 20), make_disk())
    assert {key: body_of(await cached(again, key)) for key in bodies} == bodies


async def test_each_tier_is_asked_what_it_holds(store: Store) -> None:
    cache = DerivativeCache(MemoryCache(1 << 20), store)
    store.gate.set()
    assert not await cache.holds(KEY)
    store.entries[KEY] = Derivative.of(b"body")
    assert await cache.holds(KEY)
    await cache.put(key_of("new"), b"body")
    assert await cache.holds(key_of("new"))
    assert not await DerivativeCache(MemoryCache(1 << 20)).holds(KEY)
    await cache.close()

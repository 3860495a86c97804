"""The store of sources: fetched once, kept, lent, revalidated, forgotten."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from iiif_server.api import (
    Fetched,
    ImageNotFound,
    NotModified,
    ServerBusy,
    SourceStore,
    SourceTooLarge,
    SourceWriter,
    StoredSource,
    UnreadableSource,
)
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.lender import Lender
from iiif_server.caches.sources.part import Part
from tests.caches.sources.conftest import StoreMaker
from tests.caches.sources.helpers import Origin, OriginDown, is_locked, leftovers, records, until, whole_files

FACTS = Fetched(
    version="2026-11",
    media_type="image/tiff",
    filename="Blatt 1.tif",
    modified=1234.5,
    notes={"ETag": '"a"', "licence": "©"},
)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def body_of(store: SourceStore, origin: Origin, key: str = "key", **options) -> bytes:
    """What is lent under a key."""
    async with store.lease(key, origin.fetch(key), **{"max_age": 60, **options}) as stored:
        body = await asyncio.to_thread(stored.path.read_bytes)
        assert len(body) == stored.size
        return body


async def test_what_was_fetched_is_lent_with_what_is_known_of_it(store: SourceStore, directory: Path) -> None:
    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        assert previous is None
        for piece in (b"one", bytearray(b"two"), memoryview(b"three")):
            await writer.write(piece)
        assert writer.size == 11
        return FACTS

    for _ in range(2):
        async with store.lease("key", fetch, max_age=60) as stored:
            assert stored.path.read_bytes() == b"onetwothree"
            assert stored.path.is_relative_to(directory)
            assert (stored.key, stored.size, stored.version) == ("key", 11, "2026-11")
            assert (stored.media_type, stored.filename) == ("image/tiff", "Blatt 1.tif")
            assert (stored.modified, stored.notes) == (1234.5, {"ETag": '"a"', "licence": "©"})
    assert leftovers(directory) == []
    counts = store.statistics()
    assert (counts["fetches"], counts["hits"], counts["entries"], counts["in_use"]) == (1, 1, 1, 0)
    assert counts["bytes"] == 2 * 4096


async def test_a_second_store_in_the_directory_lends_what_the_first_one_fetched(
    make_store: StoreMaker, origin: Origin
) -> None:
    origin.bodies["key"] = os.urandom(300_000)
    assert await body_of(make_store(), origin) == origin.bodies["key"]
    assert await body_of(make_store(), origin) == origin.bodies["key"]
    assert origin.fetches["key"] == 1


async def test_two_hundred_leases_share_one_fetch(
    store: SourceStore, origin: Origin, directory: Path
) -> None:
    origin.bodies["key"] = os.urandom(500_000)
    origin.gate.clear()
    callers = [asyncio.create_task(body_of(store, origin)) for _ in range(200)]
    await until(lambda: store.statistics()["waiting"] == 200 and origin.fetches["key"])
    assert whole_files(directory) == []
    origin.gate.set()
    assert set(await asyncio.gather(*callers)) == {origin.bodies["key"]}
    assert origin.fetches["key"] == 1
    assert store.statistics()["waiting"] == store.statistics()["in_use"] == 0
    await until(lambda: not is_locked(whole_files(directory)[0]))


async def test_other_keys_are_fetched_at_the_same_time(store: SourceStore, origin: Origin) -> None:
    origin.bodies = {f"key {number}": os.urandom(1000 + number) for number in range(50)}
    origin.gate.clear()
    callers = [asyncio.create_task(body_of(store, origin, key)) for key in origin.bodies]
    await until(lambda: len(origin.fetches) == 50)
    origin.gate.set()
    assert await asyncio.gather(*callers) == list(origin.bodies.values())


async def test_keys_that_look_alike_are_different_keys(store: SourceStore, origin: Origin) -> None:
    keys = [
        "a",
        "A",
        "a ",
        "a/",
        "./a",
        "ａ",
        "é",
        "e\u0301",
        "",
        "\0",
        "\ud800",
        "../../etc/passwd",
        "x" * 5000,
    ]
    keys += ["https://example.org/a?b=c#d", "https://example.org/a?b=C#d", "con", "a.", "a\n"]
    origin.bodies = {key: b"body of " + ascii(key).encode() for key in keys}
    for _ in range(2):
        for key in keys:
            assert await body_of(store, origin, key) == origin.bodies[key]
    assert set(origin.fetches.values()) == {1}
    assert {key async for key in store.stored_keys()} == set(keys)


async def test_a_young_source_is_lent_without_a_fetch_and_an_old_one_is_not(
    make_store: StoreMaker, origin: Origin, clock: Clock
) -> None:
    store = make_store(clock=clock)
    origin.bodies["key"] = b"first"
    assert await body_of(store, origin) == b"first"
    origin.bodies["key"] = b"second"
    clock.now += 59.9
    assert await body_of(store, origin) == b"first"
    clock.now += 0.1
    assert await body_of(store, origin) == b"second"
    origin.bodies["key"] = b"third one"
    clock.now += 1e9
    assert await body_of(store, origin, max_age=None) == b"second"
    assert await body_of(store, origin, max_age=0) == b"third one"
    assert origin.fetches["key"] == 3


async def test_a_clock_that_was_put_back_makes_nothing_fresh_for_years(
    make_store: StoreMaker, origin: Origin, clock: Clock
) -> None:
    store = make_store(clock=clock)
    origin.bodies["key"] = b"first"
    await body_of(store, origin)
    clock.now -= 1000
    origin.bodies["key"] = b"second"
    assert await body_of(store, origin) == b"second"


async def test_what_is_not_modified_is_kept_and_young_again(
    make_store: StoreMaker, origin: Origin, clock: Clock
) -> None:
    store = make_store(clock=clock)
    seen: list[StoredSource] = []

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched | NotModified:
        if previous is None:
            await writer.write(b"body")
            return FACTS
        seen.append(previous)
        return NotModified(notes={"ETag": '"b"'}) if len(seen) == 1 else NotModified()

    async with store.lease("key", fetch, max_age=60) as first:
        pass
    for number in (1, 2):
        clock.now += 61
        async with store.lease("key", fetch, max_age=60) as again:
            assert again.path == first.path
            assert again.path.read_bytes() == b"body"
            assert (again.checked, again.notes) == (clock.now, {"ETag": '"b"'})
        clock.now += 59
        async with store.lease("key", fetch, max_age=60) as unasked:
            assert unasked == again
        assert len(seen) == number
    assert seen[0].notes == FACTS.notes
    assert seen[0].version == "2026-11"
    assert store.statistics()["confirmed"] == 2


async def test_a_new_version_is_another_file_and_the_old_one_stays_while_it_is_lent(
    store: SourceStore, origin: Origin, directory: Path
) -> None:
    origin.bodies["key"] = b"first"
    async with store.lease("key", origin.fetch("key"), max_age=60) as first:
        origin.bodies["key"] = b"the second"
        async with store.lease("key", origin.fetch("key"), max_age=0) as second:
            assert second.path != first.path
            assert (first.path.read_bytes(), second.path.read_bytes()) == (b"first", b"the second")
            assert origin.previous[1] == first
        assert await body_of(store, origin) == b"the second"
        assert first.path.read_bytes() == b"first"
    await until(lambda: whole_files(directory) == [second.path])
    await until(lambda: store.statistics()["bytes"] == 2 * 4096)


async def test_without_a_version_the_bytes_make_one(store: SourceStore) -> None:
    def fetch_of(body: bytes):
        async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
            await writer.write(body)
            return Fetched()

        return fetch

    versions = []
    for body in (b"a" * 3_000_000, b"b" * 3_000_000, b"a" * 3_000_000):
        async with store.lease("key", fetch_of(body), max_age=0) as stored:
            versions.append(stored.version)
    assert versions[0] == versions[2] != versions[1]


async def test_failures_go_to_all_who_wait_and_nothing_is_kept(
    store: SourceStore, origin: Origin, directory: Path
) -> None:
    origin.bodies["key"] = bytes(700_000)
    origin.is_down = True
    origin.gate.clear()
    callers = [asyncio.create_task(body_of(store, origin)) for _ in range(20)]
    await until(lambda: store.statistics()["waiting"] == 20)
    origin.gate.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OriginDown] * 20
    await until(lambda: not leftovers(directory))
    assert whole_files(directory) == records(directory) == []
    assert store.statistics()["errors"] == 1
    await until(lambda: store.statistics()["bytes"] == 0)

    origin.is_down = False
    assert await body_of(store, origin) == origin.bodies["key"]
    assert origin.fetches["key"] == 2


async def test_a_failure_is_remembered_for_a_moment(make_store: StoreMaker, origin: Origin) -> None:
    store = make_store(failure_ttl=5)
    origin.bodies["key"] = b"body"
    origin.is_down = True
    for _ in range(3):
        with pytest.raises(OriginDown) as raised:
            await body_of(store, origin)
    assert origin.fetches["key"] == 1
    assert len(raised.traceback) < 10
    origin.bodies["other"] = b"other"
    with pytest.raises(OriginDown, match="other"):
        await body_of(store, origin, "other")


async def test_forgetting_a_key_lets_the_next_one_try(make_store: StoreMaker, origin: Origin) -> None:
    store = make_store(failure_ttl=5)
    origin.bodies["key"] = b"body"
    origin.is_down = True
    with pytest.raises(OriginDown):
        await body_of(store, origin)
    origin.is_down = False
    assert not await store.forget("key")
    assert await body_of(store, origin) == b"body"


async def test_an_old_source_is_lent_if_the_origin_fails_and_that_is_wanted(
    make_store: StoreMaker, origin: Origin, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(clock=clock)
    origin.bodies["key"] = b"first"
    await body_of(store, origin)
    origin.bodies["key"] = b"second"
    origin.is_down = True
    clock.now += 100
    bodies = await asyncio.gather(*(body_of(store, origin, stale_if_error=OriginDown) for _ in range(30)))
    assert set(bodies) == {b"first"}
    assert caplog.messages == ["'key' is used as it was 100 seconds ago: OriginDown('key')"]
    assert store.statistics()["stale"] == 30
    with pytest.raises(OriginDown):
        await body_of(store, origin, stale_if_error=(KeyError, ValueError))
    with pytest.raises(OriginDown):
        await body_of(store, origin)
    origin.bodies["other"] = b"never fetched"
    with pytest.raises(OriginDown):
        await body_of(store, origin, "other", stale_if_error=OriginDown)
    origin.is_down = False
    assert await body_of(store, origin, stale_if_error=OriginDown) == b"second"


async def test_what_is_gone_at_its_origin_is_lent_to_nobody(
    make_store: StoreMaker, origin: Origin, directory: Path
) -> None:
    """Neither to those who do not ask there, nor to those who take an older one for a failure."""
    store = make_store()
    origin.bodies["key"] = b"body"
    await body_of(store, origin)

    async def gone(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        raise ImageNotFound

    async with store.lease("key", origin.fetch("key"), max_age=None) as lent:
        with pytest.raises(ImageNotFound):
            async with store.lease("key", gone, max_age=0, stale_if_error=Exception):
                pass
        assert lent.path.read_bytes() == b"body"
    with pytest.raises(ImageNotFound):
        async with store.lease("key", gone, max_age=None):
            pass
    await until(lambda: whole_files(directory) == [])
    assert await store.stored("key") is None


async def test_a_remembered_failure_lends_the_old_source_without_asking(
    make_store: StoreMaker, origin: Origin
) -> None:
    store = make_store(failure_ttl=5)
    origin.bodies["key"] = b"first"
    await body_of(store, origin)
    origin.is_down = True
    for _ in range(5):
        assert await body_of(store, origin, max_age=0, stale_if_error=OriginDown) == b"first"
    assert origin.fetches["key"] == 2


async def test_the_leaving_of_one_fails_nobody(store: SourceStore, origin: Origin) -> None:
    origin.bodies["key"] = os.urandom(100_000)
    origin.gate.clear()
    first, *others = [asyncio.create_task(body_of(store, origin)) for _ in range(10)]
    await until(lambda: store.statistics()["waiting"] == 10 and origin.fetches["key"])
    first.cancel()
    await asyncio.wait((first,))
    origin.gate.set()
    assert set(await asyncio.gather(*others)) == {origin.bodies["key"]}
    assert origin.fetches["key"] == 1


async def test_the_leaving_of_the_last_one_cancels_the_fetch_and_leaves_nothing(
    store: SourceStore, origin: Origin, directory: Path
) -> None:
    origin.bodies["key"] = bytes(900_000)
    origin.chunk = 400_000
    origin.gate.clear()
    callers = [asyncio.create_task(body_of(store, origin)) for _ in range(10)]
    await until(lambda: store.statistics()["bytes"] > 0)
    assert len(leftovers(directory)) == 1
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await until(lambda: not leftovers(directory) and store.statistics()["bytes"] == 0)
    assert origin.cancelled == 1
    assert whole_files(directory) == records(directory) == []
    origin.gate.set()
    assert await body_of(store, origin) == origin.bodies["key"]


@pytest.mark.parametrize("step", [(Keeper, "begin"), (Keeper, "publish"), (Lender, "find"), (Part, "append")])
async def test_one_who_leaves_at_any_step_holds_up_nobody(
    store: SourceStore, origin: Origin, directory: Path, monkeypatch: pytest.MonkeyPatch, step
) -> None:
    owner, name = step
    call = getattr(owner, name)
    done, go_on = threading.Event(), threading.Event()

    def slow(*arguments):
        result = call(*arguments)
        done.set()
        go_on.wait()
        return result

    origin.bodies["key"] = os.urandom(400_000)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, slow)
        caller = asyncio.create_task(body_of(store, origin))
        await until(done.is_set)
        caller.cancel()
        await asyncio.wait((caller,))
        assert caller.cancelled()
        go_on.set()
    async with asyncio.timeout(20):
        assert await body_of(store, origin, max_age=0) == origin.bodies["key"]
    await until(lambda: not leftovers(directory) and len(whole_files(directory)) == 1)
    await until(lambda: not is_locked(whole_files(directory)[0]))


@pytest.mark.parametrize("max_age", [0, 60])
@pytest.mark.parametrize("delay", range(20))
async def test_a_storm_of_cancellations_leaves_nothing_open(
    make_store: StoreMaker, origin: Origin, directory: Path, delay: int, max_age: float
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(300_000)
    for turn in range(6):
        callers = [asyncio.create_task(body_of(store, origin, max_age=max_age)) for _ in range(8)]
        for _ in range(delay * 3 + turn):
            await asyncio.sleep(0)
        await asyncio.sleep(delay / 4000)
        for caller in callers[turn % 2 :]:
            caller.cancel()
        for outcome in await asyncio.gather(*callers, return_exceptions=True):
            assert outcome == origin.bodies["key"] or isinstance(outcome, asyncio.CancelledError)
    assert await body_of(store, origin, max_age=max_age) == origin.bodies["key"]
    counts = store.statistics()
    assert (counts["in_use"], counts["waiting"]) == (0, 0)
    await until(lambda: not leftovers(directory) and len(whole_files(directory)) == 1)
    await until(lambda: not is_locked(whole_files(directory)[0]))
    assert len(records(directory)) == 1


async def test_a_source_beyond_the_limit_is_refused_and_not_kept(
    make_store: StoreMaker, origin: Origin, directory: Path
) -> None:
    store = make_store(max_source_bytes=100_000)
    origin.bodies = {"fits": bytes(100_000), "too large": bytes(100_001)}
    assert await body_of(store, origin, "fits") == origin.bodies["fits"]
    with pytest.raises(SourceTooLarge):
        await body_of(store, origin, "too large")
    await until(lambda: not leftovers(directory))
    assert len(whole_files(directory)) == 1


async def test_a_source_that_says_it_is_too_large_is_refused_before_it_is_transferred(
    make_store: StoreMaker,
) -> None:
    store = make_store(max_source_bytes=100_000)

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.expect(100_001)
        raise AssertionError("not reached")

    with pytest.raises(SourceTooLarge):
        async with store.lease("key", fetch, max_age=60):
            pass


@pytest.mark.parametrize("size", [0, 1, 100_000, 400_000])
async def test_an_expected_size_is_only_a_hint(store: SourceStore, directory: Path, size: int) -> None:
    body = os.urandom(100_000)

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.expect(size)
        await writer.write(body)
        return Fetched()

    async with store.lease("key", fetch, max_age=60) as stored:
        assert stored.path.read_bytes() == body
    assert store.statistics()["bytes"] == 4096 * 25 + 4096


async def test_an_empty_source_is_never_kept(store: SourceStore, origin: Origin, directory: Path) -> None:
    origin.bodies["key"] = b""
    with pytest.raises(UnreadableSource):
        await body_of(store, origin)
    await until(lambda: not leftovers(directory))
    assert whole_files(directory) == []


async def test_notes_are_short(store: SourceStore, directory: Path) -> None:
    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.write(b"body")
        return Fetched(notes={"licence": "x" * 2_000_000})

    with pytest.raises(ValueError, match="bytes"):
        async with store.lease("key", fetch, max_age=60):
            pass
    await until(lambda: not leftovers(directory))
    assert whole_files(directory) == records(directory) == []


async def test_a_fetch_that_confirms_what_is_not_there_is_mistaken(store: SourceStore) -> None:
    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> NotModified:
        return NotModified()

    with pytest.raises(TypeError, match="no earlier one"):
        async with store.lease("key", fetch, max_age=60):
            pass


async def test_nothing_is_written_after_a_fetch_is_over(store: SourceStore) -> None:
    writers: list[SourceWriter] = []

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        writers.append(writer)
        await writer.write(b"body")
        return Fetched()

    async with store.lease("key", fetch, max_age=60) as stored:
        with pytest.raises(RuntimeError, match="over"):
            await writers[0].write(bytes(1 << 20))
        assert stored.path.read_bytes() == b"body"


async def test_what_is_stored_can_be_told_without_fetching(
    make_store: StoreMaker, origin: Origin, clock: Clock
) -> None:
    store = make_store(clock=clock)
    assert await store.stored("key") is None
    origin.bodies["key"] = b"body"
    async with store.lease("key", origin.fetch("key"), max_age=60) as lent:
        pass
    clock.now += 1000
    found = await store.stored("key")
    assert found == lent.record()
    assert origin.fetches["key"] == 1
    lent.path.unlink()
    assert await store.stored("key") is None


async def test_forgetting_removes_and_the_next_lease_fetches(
    store: SourceStore, origin: Origin, directory: Path
) -> None:
    origin.bodies["key"] = b"body"
    await body_of(store, origin)
    assert await store.forget("key")
    assert not await store.forget("key")
    assert whole_files(directory) == records(directory) == []
    assert await store.stored("key") is None
    assert store.statistics()["entries"] == store.statistics()["bytes"] == 0
    await body_of(store, origin)
    assert origin.fetches["key"] == 2


async def test_what_is_forgotten_while_it_is_lent_stays_until_the_last_lease_ends(
    make_store: StoreMaker, origin: Origin, directory: Path
) -> None:
    one, other = make_store(), make_store()
    origin.bodies["key"] = b"body"
    async with one.lease("key", origin.fetch("key"), max_age=60) as lent:
        async with other.lease("key", origin.fetch("key"), max_age=60) as as_well:
            assert await one.forget("key")
            assert await other.stored("key") is None
            assert lent.path == as_well.path
        await asyncio.sleep(0.05)
        assert lent.path.read_bytes() == b"body"
    await until(lambda: whole_files(directory) == [])


async def test_a_source_forgotten_while_it_is_confirmed_stays_forgotten(
    store: SourceStore, directory: Path
) -> None:
    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched | NotModified:
        if previous is None:
            await writer.write(b"body")
            return Fetched()
        assert await store.forget("key")
        return NotModified()

    async with store.lease("key", fetch, max_age=0):
        pass
    async with store.lease("key", fetch, max_age=0) as stored:
        assert stored.path.read_bytes() == b"body"
        assert await store.stored("key") is None
    await until(lambda: whole_files(directory) == records(directory) == [])


async def test_a_fetch_may_lease_another_key(store: SourceStore, origin: Origin) -> None:
    origin.bodies["inner"] = b"inner"

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.write(await body_of(store, origin, "inner") + b" and outer")
        return Fetched()

    async with store.lease("outer", fetch, max_age=60) as stored:
        assert stored.path.read_bytes() == b"inner and outer"


async def test_closing_ends_fetches_leases_and_whoever_waits(
    make_store: StoreMaker, origin: Origin, directory: Path
) -> None:
    store = make_store()
    origin.bodies = {"lent": b"body", "slow": bytes(500_000)}
    origin.chunk = 300_000
    async with store.lease("lent", origin.fetch("lent"), max_age=60) as lent:
        origin.gate.clear()
        callers = [asyncio.create_task(body_of(store, origin, "slow")) for _ in range(3)]
        await until(lambda: leftovers(directory))
        await store.close()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServerBusy] * 3
        assert leftovers(directory) == []
        assert not is_locked(lent.path)
    with pytest.raises(ServerBusy):
        await body_of(store, origin, "lent")
    with pytest.raises(ServerBusy):
        await store.stored("lent")
    await store.close()


@pytest.mark.parametrize("turns", range(12))
async def test_closing_at_any_moment_answers_whoever_asked(
    make_store: StoreMaker, origin: Origin, directory: Path, turns: int
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(400_000)
    await body_of(store, origin)
    callers = [
        asyncio.create_task(body_of(store, origin, max_age=max_age, stale_if_error=ServerBusy))
        for max_age in (0, 60, 0, 60)
    ]
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(turns % 4 / 1000)
    await store.close()
    for outcome in await asyncio.gather(*callers, return_exceptions=True):
        assert outcome == origin.bodies["key"] or isinstance(outcome, ServerBusy)
    assert leftovers(directory) == []


async def test_a_store_that_was_never_used_leaves_no_trace(make_store: StoreMaker, directory: Path) -> None:
    await make_store().close()
    assert not directory.exists()


async def test_the_disk_is_never_touched_on_the_event_loop(
    store: SourceStore, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = threading.get_ident()
    calls: list[str] = []

    def guarded(name: str, function):
        def call(*arguments, **options):
            if threading.get_ident() == main:
                calls.append(name)
            return function(*arguments, **options)

        return call

    origin.bodies["key"] = bytes(600_000)
    with monkeypatch.context() as patch:
        for name in ("open", "close", "read", "pread", "pwrite", "rename", "unlink", "stat", "fdatasync"):
            patch.setattr(os, name, guarded(name, getattr(os, name)))
        for max_age in (60, 60, 0):
            async with store.lease("key", origin.fetch("key"), max_age=max_age):
                await store.stored("key")
        assert [key async for key in store.stored_keys()] == ["key"]
        await store.forget("key")
        await store.close()
    assert calls == []

"""The disk tier: what was put is got back, whole or not at all, and never on the event loop's time."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from iiif_server.caches.derivative import FileSlice
from iiif_server.caches.disk import DiskCache
from iiif_server.caches.owned import MARKER
from iiif_server.caches.roster import ROSTER
from tests.caches.conftest import DiskMaker
from tests.caches.helpers import body_of, entries, entry_path, key_of, stored, temporaries

KEY = key_of("image")


async def test_what_was_put_is_got_back(disk: DiskCache) -> None:
    assert await stored(disk, KEY) is None
    await disk.put(KEY, b"body")
    assert body_of(await stored(disk, KEY)) == b"body"
    await disk.put(KEY, b"replaced")
    assert body_of(await stored(disk, KEY)) == b"replaced"
    counts = disk.statistics()
    assert (counts["hits"], counts["misses"], counts["writes"], counts["failures"]) == (2, 1, 2, 0)


async def test_a_second_cache_sees_what_the_first_one_wrote(make_disk: DiskMaker) -> None:
    one, other = make_disk(), make_disk()
    await one.put(KEY, b"body")
    assert body_of(await stored(other, KEY)) == b"body"


async def test_large_bodies_come_as_a_slice_of_an_open_file(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(small_bytes=1000)
    small, large = os.urandom(1000), os.urandom(1001)
    await disk.put(key_of("small"), small)
    await disk.put(key_of("large"), large)
    assert body_of(await stored(disk, key_of("small"))) == small
    derivative = await stored(disk, key_of("large"))
    assert derivative is not None
    assert isinstance(derivative.body, FileSlice)
    # The eviction that comes in between hurts nobody who has it open.
    entry_path(tmp_path / "cache", key_of("large")).unlink()
    assert body_of(derivative) == large


@pytest.mark.parametrize("small_bytes", [1 << 20, 10])
async def test_damage_is_a_miss_and_is_removed(
    make_disk: DiskMaker, tmp_path: Path, small_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk = make_disk(small_bytes=small_bytes)
    body = os.urandom(5000)
    await disk.put(KEY, body)
    path = entry_path(tmp_path / "cache", KEY)
    whole = path.read_bytes()
    damages = [whole[:cut] for cut in (0, 1, 20, 37, 38, 39, 3000, len(whole) - 1)]
    damages += [whole + b"\0", bytes(len(whole)), whole[:-1] + bytes([whole[-1] ^ 1])]
    for number, damaged in enumerate(damages):
        path.write_bytes(damaged)
        assert await stored(disk, KEY) is None
        assert not path.exists()
        assert disk.statistics()["damaged"] == number + 1
    await disk.put(KEY, body)
    assert body_of(await stored(disk, KEY)) == body
    assert len(caplog.messages) == 1


async def test_the_file_of_another_key_is_a_miss(disk: DiskCache, tmp_path: Path) -> None:
    other = KEY[:2] + key_of("other")[2:]
    await disk.put(other, b"somebody else's picture")
    entry_path(tmp_path / "cache", other).rename(entry_path(tmp_path / "cache", KEY))
    assert await stored(disk, KEY) is None
    assert entries(tmp_path / "cache") == []


async def test_a_use_is_recorded_now_and_then(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(touch_seconds=100)
    await disk.put(KEY, b"body")
    path = entry_path(tmp_path / "cache", KEY)
    now = time.time()
    for age, is_recorded in ((50, False), (200, True), (-5000, True)):
        os.utime(path, times=(now - age,) * 2)
        before = path.stat().st_mtime_ns
        body_of(await stored(disk, KEY))
        assert (path.stat().st_mtime_ns != before) == is_recorded
        if is_recorded:
            assert abs(path.stat().st_mtime - now) < 60


async def test_what_is_used_outlives_what_is_not(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(1 << 20, touch_seconds=0)
    for number in range(40):
        await disk.put(key_of(number), bytes(20_000))
        old = time.time() - 5000 + number
        os.utime(entry_path(tmp_path / "cache", key_of(number)), times=(old, old))
    body_of(await stored(disk, key_of(0)))
    for number in range(40, 60):
        await disk.put(key_of(number), bytes(20_000))
    assert body_of(await stored(disk, key_of(0))) is not None
    assert await stored(disk, key_of(1)) is None
    assert disk.statistics()["evicted"] > 10
    assert disk.statistics()["known_bytes"] <= 1 << 20


async def test_a_body_beyond_an_eighth_of_the_budget_is_not_kept(make_disk: DiskMaker) -> None:
    disk = make_disk(1 << 20)
    await disk.put(KEY, bytes(1 << 17))
    assert await stored(disk, KEY) is None
    assert disk.statistics()["too_large"] == 1


async def test_many_at_once(disk: DiskCache, tmp_path: Path) -> None:
    bodies = {key_of(number): os.urandom(3000) for number in range(200)}
    await asyncio.gather(*(disk.put(key, body) for key, body in bodies.items()))
    found = await asyncio.gather(*(stored(disk, key) for key in bodies for _ in range(3)))
    assert [body_of(one) for one in found] == [body for body in bodies.values() for _ in range(3)]
    assert temporaries(tmp_path / "cache") == []


async def test_a_file_opened_for_somebody_who_left_is_closed(
    make_disk: DiskMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_disk(small_bytes=0)
    await disk.put(KEY, b"body")
    entered, leave = threading.Event(), threading.Event()
    opened: list[FileIO] = []
    open_entry = disk._directory.open

    def slow(key: str) -> FileIO:
        opened.append(open_entry(key))
        entered.set()
        leave.wait(10)
        return opened[0]

    monkeypatch.setattr(disk._directory, "open", slow)
    reader = asyncio.create_task(stored(disk, KEY))
    await asyncio.to_thread(entered.wait, 10)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    leave.set()
    await disk.close()
    assert opened[0].closed


async def test_a_read_given_up_before_its_turn_opens_nothing(disk: DiskCache) -> None:
    await disk.put(KEY, b"body")
    readers = [asyncio.create_task(stored(disk, KEY)) for _ in range(100)]
    await asyncio.sleep(0)
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    assert body_of(await stored(disk, KEY)) == b"body"


async def test_a_closed_cache_misses_and_drops(disk: DiskCache) -> None:
    await disk.put(KEY, b"body")
    await disk.close()
    await disk.close()
    assert await stored(disk, KEY) is None
    await disk.put(KEY, b"body")
    assert disk.statistics()["writes"] == 1


async def test_reads_do_not_queue_behind_a_slow_write(
    disk: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    await disk.put(KEY, b"body")
    leave = threading.Event()
    monkeypatch.setattr(disk._directory, "write", lambda *_: leave.wait(10))
    writer = asyncio.create_task(disk.put(key_of("other"), b"body"))
    await asyncio.sleep(0.01)
    assert body_of(await stored(disk, KEY)) == b"body"
    assert not writer.done()
    leave.set()
    await writer


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "G" * 40])
async def test_what_is_no_key_is_a_mistake_of_the_caller(disk: DiskCache, key: str) -> None:
    with pytest.raises(ValueError, match="not a derivative key"):
        await stored(disk, key)
    with pytest.raises(ValueError, match="not a derivative key"):
        await disk.put(key, b"body")


@pytest.fixture
def twenty_thousand(tmp_path: Path) -> Path:
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / MARKER).touch()
    for leaf in range(256):
        (directory / f"{leaf:02x}").mkdir()
    for number in range(20_000):
        key = key_of(number)
        os.close(os.open(entry_path(directory, key), os.O_CREAT | os.O_WRONLY))
    return directory


async def test_starting_and_reading_scan_nothing_however_much_is_stored(
    twenty_thousand: Path, make_disk: DiskMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[object] = []

    def counting(look: Callable[..., Any]) -> Callable[..., Any]:
        def count(*path: Any) -> Any:
            if ROSTER not in str(path):  # who uses the cache, whatever is stored in it
                scans.append(path)
            return look(*path)

        return count

    monkeypatch.setattr(os, "scandir", counting(os.scandir))
    monkeypatch.setattr(os, "listdir", counting(os.listdir))
    disk = make_disk(100 << 30)
    assert await disk.start()
    assert await stored(disk, key_of("absent")) is None
    assert scans == []
    # The first write looks at its own group of leaves only.
    await disk.put(KEY, b"body")
    assert len(scans) == 1
    assert body_of(await stored(disk, KEY)) == b"body"
    assert len(entries(twenty_thousand)) == 20_001


async def test_whether_it_is_there_is_told_without_reading_it(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk()
    assert not await disk.holds(KEY)
    await disk.put(KEY, b"body")
    assert await disk.holds(KEY)
    assert not await disk.holds(key_of("other"))
    entry_path(tmp_path / "cache", KEY).unlink()
    assert not await disk.holds(KEY)
    assert disk.statistics()["hits"] == disk.statistics()["misses"] == 0

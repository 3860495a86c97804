"""A cache that fails costs speed, never an answer; and it recovers by itself."""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iiif_server.caches.disk import DiskCache
from tests.caches.conftest import DiskMaker, Mount
from tests.caches.helpers import body_of, entries, entry_path, key_of, stored, temporaries

KEY = key_of("image")


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["open", "write", "close", "rename", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
async def test_a_write_that_fails_is_dropped_and_the_next_one_works(
    disk: DiskCache, tmp_path: Path, caplog: pytest.LogCaptureFixture, call: str, code: int
) -> None:
    original = getattr(os, call)

    def fail(*args: Any, **options: Any) -> None:
        if call == "close":
            original(*args)
        failing(code)()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, fail)
        await disk.put(KEY, b"body")
    if (tmp_path / "cache").exists():
        assert entries(tmp_path / "cache") == temporaries(tmp_path / "cache") == []
    assert disk.statistics()["failures"] == 1
    assert errno.errorcode[code] in caplog.text
    await disk.put(KEY, b"body")
    assert body_of(await stored(disk, KEY)) == b"body"


async def test_a_write_that_stops_half_way_leaves_nothing(
    disk: DiskCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    budget = 30_000

    def stingy(fd: int, data: memoryview) -> int:
        nonlocal budget
        if not budget:
            failing(errno.ENOSPC)()
        written = write(fd, data[:budget])
        budget -= written
        return written

    monkeypatch.setattr(os, "write", stingy)
    await disk.put(KEY, bytes(50_000))
    assert await stored(disk, KEY) is None
    assert entries(tmp_path / "cache") == temporaries(tmp_path / "cache") == []


async def test_writes_in_small_portions_are_put_together(
    disk: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    await disk.put(KEY, bytes(range(200)))
    monkeypatch.undo()
    assert body_of(await stored(disk, KEY)) == bytes(range(200))


@pytest.mark.parametrize("call", ["open", "pread", "fstat"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
async def test_a_read_that_fails_is_a_miss_and_removes_nothing(
    disk: DiskCache, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    await disk.put(KEY, b"body")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        assert await stored(disk, KEY) is None
    assert body_of(await stored(disk, KEY)) == b"body"
    assert (disk.statistics()["failures"], disk.statistics()["damaged"]) == (1, 0)


async def test_a_lasting_failure_is_one_line_in_the_log(
    disk: DiskCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    for number in range(50):
        await disk.put(key_of(number), b"body")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert disk.statistics()["failures"] == 50


async def test_a_full_disk_and_then_room_again(
    small_volume: tuple[Path, Mount], make_disk: DiskMaker, caplog: pytest.LogCaptureFixture
) -> None:
    volume, _ = small_volume
    disk = make_disk(1 << 30, directory=volume / "cache")
    bodies = {key_of(number): os.urandom(90_000) for number in range(20)}
    for key, body in bodies.items():
        await disk.put(key, body)
    found = {key: body_of(await stored(disk, key)) for key in bodies}
    kept = {key for key, body in found.items() if body is not None}
    assert 5 <= len(kept) < 12
    assert all(found[key] == bodies[key] for key in kept)
    assert temporaries(volume / "cache") == []
    assert len(entries(volume / "cache")) == len(kept)
    assert len(caplog.messages) == 1
    assert "ENOSPC" in caplog.text

    for path in entries(volume / "cache"):
        path.unlink()
    await disk.put(KEY, b"body")
    assert body_of(await stored(disk, KEY)) == b"body"


async def test_a_volume_that_turns_read_only_still_serves_what_it_has(
    small_volume: tuple[Path, Mount], make_disk: DiskMaker
) -> None:
    volume, remount = small_volume
    disk = make_disk(directory=volume / "cache", touch_seconds=0)
    await disk.put(KEY, b"body")
    damaged = key_of("damaged")
    await disk.put(damaged, b"body")
    entry_path(volume / "cache", damaged).write_bytes(b"torn")
    remount("ro")
    await disk.put(key_of("other"), b"body")
    assert await stored(disk, key_of("other")) is None
    assert await stored(disk, damaged) is None
    assert body_of(await stored(disk, KEY)) == b"body"
    remount("rw")
    await disk.put(key_of("other"), b"body")
    assert body_of(await stored(disk, key_of("other"))) == b"body"


async def test_a_directory_that_is_deleted_comes_back(disk: DiskCache, tmp_path: Path) -> None:
    await disk.put(KEY, b"body")
    shutil.rmtree(tmp_path / "cache")
    assert await stored(disk, KEY) is None
    await disk.put(KEY, b"body")
    assert body_of(await stored(disk, KEY)) == b"body"


async def test_a_directory_deleted_again_and_again_under_load(make_disk: DiskMaker, tmp_path: Path) -> None:
    caches = [make_disk(), make_disk()]
    bodies = {key_of(number): os.urandom(2000) for number in range(60)}
    is_over = False

    async def load(disk: DiskCache) -> None:
        while not is_over:
            for key, body in bodies.items():
                await disk.put(key, body)
                assert body_of(await stored(disk, key)) in (None, body)

    async def delete() -> None:
        nonlocal is_over
        for _ in range(12):
            await asyncio.sleep(0.02)
            await asyncio.to_thread(shutil.rmtree, tmp_path / "cache", ignore_errors=True)
        is_over = True

    await asyncio.gather(delete(), *(load(disk) for disk in caches))
    for disk in caches:
        await disk.put(KEY, b"body")
        assert body_of(await stored(disk, KEY)) == b"body"
    assert temporaries(tmp_path / "cache") == []


async def test_a_directory_with_foreign_files_is_left_alone_until_it_is_emptied(
    make_disk: DiskMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / "original.tif").write_bytes(b"the only copy")
    disk = make_disk()
    assert not await disk.start()
    for number in range(20):
        await disk.put(key_of(number), b"body")
        assert await stored(disk, key_of(number)) is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "original.tif" not in caplog.text
    assert [path.name for path in directory.iterdir()] == ["original.tif"]

    (directory / "original.tif").unlink()
    await disk.put(KEY, b"body")
    assert body_of(await stored(disk, KEY)) == b"body"


async def test_a_name_of_ours_in_a_foreign_directory_is_not_removed(
    make_disk: DiskMaker, tmp_path: Path
) -> None:
    path = entry_path(tmp_path / "cache", KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else by the same name")
    (tmp_path / "cache" / "notes.txt").touch()
    disk = make_disk()
    assert await stored(disk, KEY) is None
    assert path.exists()


async def test_a_leaf_that_is_a_link_costs_its_own_entries_only(
    disk: DiskCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    await disk.start()
    (tmp_path / "cache" / KEY[:2]).symlink_to(outside)
    await disk.put(KEY, b"body")
    assert await stored(disk, KEY) is None
    assert "ENOTDIR" in caplog.text
    assert list(outside.iterdir()) == []
    other = key_of("other")
    assert other[:2] != KEY[:2]
    await disk.put(other, b"body")
    assert body_of(await stored(disk, other)) == b"body"


async def test_a_path_that_is_a_file_is_no_cache(make_disk: DiskMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"notes")
    disk = make_disk(directory=tmp_path / "file")
    assert not await disk.start()
    await disk.put(KEY, b"body")
    assert await stored(disk, KEY) is None
    assert (tmp_path / "file").read_bytes() == b"notes"

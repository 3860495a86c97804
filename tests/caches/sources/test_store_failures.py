"""A store that can't keep anything still answers, says so once a minute, and recovers by itself."""

import asyncio
import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from iiif_server.api import Fetched, NotModified, ServerBusy, SourceStore, SourceWriter, StoredSource
from iiif_server.caches.owned import MARKER
from tests.caches.conftest import Mount
from tests.caches.sources.conftest import StoreMaker
from tests.caches.sources.helpers import Origin, leftovers, records, until, whole_files


async def lent_from(store: SourceStore, origin: Origin, key: str = "key", max_age: float = 60) -> Path:
    """Check what is lent, and tell from where."""
    async with store.lease(key, origin.fetch(key), max_age=max_age) as stored:
        assert await asyncio.to_thread(stored.path.read_bytes) == origin.bodies[key]
        return stored.path


class FailingCalls:
    """Makes calls on files below a directory fail."""

    def __init__(self, patch: pytest.MonkeyPatch, directory: Path) -> None:
        self._patch = patch
        self._directory = str(directory)

    def __call__(self, call: str, code: int, mark: str = "") -> None:
        original = getattr(os, call)

        def fail(target: Any, *arguments: Any, **options: Any) -> Any:
            folder = options.get("dir_fd", options.get("src_dir_fd"))
            place = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
            if folder is not None:
                place = os.readlink(f"/proc/self/fd/{folder}") + "/" + place
            if place.startswith(self._directory) and mark in place:
                raise OSError(code, os.strerror(code))
            return original(target, *arguments, **options)

        self._patch.setattr(os, call, fail)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, directory: Path) -> FailingCalls:
    return FailingCalls(monkeypatch, directory)


@pytest.mark.parametrize(
    ("call", "mark"),
    [
        ("mkdir", ""),
        ("open", ".part"),
        ("open", "ledger"),
        ("open", ".draft"),
        ("pwrite", ".part"),
        ("pwrite", "ledger"),
        ("ftruncate", ".part"),
        ("fdatasync", ".part"),
        ("rename", ".part"),
        ("rename", ".draft"),
        ("scandir", ""),
    ],
)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_store_that_can_not_be_written_lends_temporary_files(
    make_store: StoreMaker,
    origin: Origin,
    directory: Path,
    overflow: Path,
    failing: FailingCalls,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    mark: str,
    code: int,
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(700_000)
    failing(call, code, mark)
    assert (await lent_from(store, origin)).parent == overflow
    assert store.statistics()["not_kept"] == 1
    assert errno.errorcode[code] in caplog.text
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    monkeypatch.undo()
    await until(lambda: not list(overflow.iterdir()))
    assert whole_files(directory) == []

    assert (await lent_from(store, origin)).is_relative_to(directory)
    assert await lent_from(store, origin) in whole_files(directory)
    assert origin.fetches["key"] == 2
    await until(lambda: not leftovers(directory))


async def test_two_hundred_share_a_temporary_file_too(
    make_store: StoreMaker, origin: Origin, overflow: Path, failing: FailingCalls
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(700_000)
    origin.gate.clear()
    failing("open", errno.EROFS, ".part")
    callers = [asyncio.create_task(lent_from(store, origin)) for _ in range(200)]
    await until(lambda: store.statistics()["waiting"] == 200)
    origin.gate.set()
    assert len(set(await asyncio.gather(*callers))) == 1
    assert origin.fetches["key"] == 1
    await until(lambda: not list(overflow.iterdir()))


async def test_a_disk_that_fills_up_half_way_moves_the_fetch_elsewhere(
    make_store: StoreMaker, origin: Origin, directory: Path, overflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(1_500_000)
    pwrite = os.pwrite

    def stingy(fd: int, data: Any, position: int) -> int:
        if str(directory) in os.readlink(f"/proc/self/fd/{fd}") and position > 400_000:
            raise OSError(errno.ENOSPC, "full")
        return pwrite(fd, data[:100_001], position)

    monkeypatch.setattr(os, "pwrite", stingy)
    assert (await lent_from(store, origin)).parent == overflow
    await until(lambda: not leftovers(directory) and not list(overflow.iterdir()))
    assert whole_files(directory) == []
    await until(lambda: store.statistics()["bytes"] == 0)


@pytest.mark.parametrize("chunk", [10_000, 1 << 20])
async def test_without_room_anywhere_there_is_a_clear_error(
    make_store: StoreMaker,
    origin: Origin,
    directory: Path,
    overflow: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    store = make_store()
    origin.bodies["key"] = os.urandom(1_500_000)
    origin.chunk = chunk
    pwrite = os.pwrite

    def full(fd: int, data: Any, position: int) -> int:
        if position > 400_000:
            raise OSError(errno.ENOSPC, "full")
        return pwrite(fd, data, position)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(ServerBusy) as raised:
            await lent_from(store, origin)
        assert "full" in raised.value.log
        assert str(overflow) not in raised.value.public
        assert raised.value.retry_after
        await until(lambda: not leftovers(directory) and not list(overflow.iterdir()))
    assert (await lent_from(store, origin)).is_relative_to(directory)


async def test_no_directory_for_temporary_files_is_a_clear_error_too(
    make_store: StoreMaker, origin: Origin, overflow: Path, failing: FailingCalls
) -> None:
    store = make_store()
    origin.bodies["key"] = b"body"
    failing("open", errno.EROFS, ".part")
    overflow.rmdir()
    with pytest.raises(ServerBusy):
        await lent_from(store, origin)


async def test_a_volume_that_is_full_and_then_has_room(
    small_volume: tuple[Path, Mount], make_store: StoreMaker, origin: Origin, overflow: Path, caplog
) -> None:
    volume, _ = small_volume
    store = make_store(1 << 30, at=volume / "sources")
    origin.bodies = {str(number): os.urandom(150_000) for number in range(12)}
    places = [await lent_from(store, origin, key) for key in origin.bodies]
    kept = [place for place in places if place.is_relative_to(volume)]
    assert 3 <= len(kept) <= 6
    assert all(place.parent == overflow for place in places if place not in kept)
    await until(lambda: not leftovers(volume / "sources"))
    assert len(caplog.messages) == 1
    assert "ENOSPC" in caplog.text
    for place in kept:
        assert await store.forget(str(places.index(place)))
    assert (await lent_from(store, origin, "11")).is_relative_to(volume)


async def test_a_volume_that_turns_read_only_lends_what_it_has_and_fetches_the_rest(
    small_volume: tuple[Path, Mount], make_store: StoreMaker, origin: Origin, overflow: Path
) -> None:
    volume, remount = small_volume
    store = make_store(at=volume / "sources")
    origin.bodies = {"kept": b"kept", "other": b"other"}
    place = await lent_from(store, origin, "kept")
    await asyncio.sleep(0.1)
    remount("ro")
    assert await lent_from(store, origin, "kept") == place
    assert (await lent_from(store, origin, "other")).parent == overflow
    assert (await lent_from(store, origin, "kept", max_age=0)).parent == overflow
    assert not await store.forget("kept")
    assert await store.stored("kept") is not None
    again = make_store(at=volume / "sources")
    assert await lent_from(again, origin, "kept") == place
    remount("rw")
    assert (await lent_from(store, origin, "other")).is_relative_to(volume)


async def test_what_can_not_be_recorded_as_confirmed_is_lent_and_asked_for_again(
    make_store: StoreMaker, failing: FailingCalls
) -> None:
    store = make_store()
    calls = 0

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched | NotModified:
        nonlocal calls
        calls += 1
        if previous is None:
            await writer.write(b"body")
            return Fetched()
        return NotModified()

    async with store.lease("key", fetch, max_age=60):
        pass
    failing("rename", errno.ENOSPC, ".draft")
    for _ in range(2):
        async with store.lease("key", fetch, max_age=0) as stored:
            assert stored.path.read_bytes() == b"body"
    assert calls == 3


async def test_a_directory_deleted_under_load_comes_back(
    make_store: StoreMaker, origin: Origin, directory: Path, overflow: Path
) -> None:
    stores = [make_store(), make_store()]
    origin.bodies = {str(number): os.urandom(30_000) for number in range(30)}
    is_over = False

    async def load(store: SourceStore) -> None:
        while not is_over:
            for key in origin.bodies:
                async with store.lease(key, origin.fetch(key), max_age=60) as stored:
                    assert stored.size == 30_000

    async def delete() -> None:
        nonlocal is_over
        for _ in range(10):
            await asyncio.sleep(0.03)
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        is_over = True

    await asyncio.gather(delete(), *(load(store) for store in stores))
    for store in stores:
        for key in origin.bodies:
            assert (await lent_from(store, origin, key)).is_relative_to(directory)
    await until(lambda: not leftovers(directory) and not list(overflow.iterdir()))


async def test_a_directory_with_foreign_files_is_left_alone(
    make_store: StoreMaker, origin: Origin, directory: Path, overflow: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.mkdir(parents=True)
    (directory / "original.tif").write_bytes(b"the only copy")
    store = make_store()
    origin.bodies["key"] = b"body"
    for _ in range(3):
        assert (await lent_from(store, origin)).parent == overflow
    assert not await store.forget("key")
    assert [path.name for path in directory.iterdir()] == ["original.tif"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert MARKER in caplog.text
    (directory / "original.tif").unlink()
    assert (await lent_from(store, origin)).is_relative_to(directory)


@pytest.mark.parametrize("kind", ["torn", "empty", "zeros", "other format", "other key"])
async def test_a_damaged_description_is_removed_and_the_source_fetched_again(
    make_store: StoreMaker, origin: Origin, directory: Path, kind: str
) -> None:
    store = make_store()
    origin.bodies = {"key": b"body", "other": b"other body"}
    for key in origin.bodies:
        await lent_from(store, origin, key)
    path = next(path for path in records(directory) if b'"key": "key"' in path.read_bytes())
    other = next(path for path in records(directory) if b'"key": "other"' in path.read_bytes())
    whole = path.read_bytes()
    damaged = {
        "torn": whole[:-20],
        "empty": b"",
        "zeros": bytes(len(whole)),
        "other format": whole.replace(b"source 1", b"source 2"),
        "other key": other.read_bytes(),
    }
    path.write_bytes(damaged[kind])
    assert await store.stored("key") is None
    assert len(whole_files(directory)) == len(records(directory)) == 1
    await lent_from(store, origin)
    await lent_from(store, origin)
    assert origin.fetches["key"] == 2
    assert store.statistics()["damaged"] == 1
    assert len(whole_files(directory)) == len(records(directory)) == 2


async def test_a_directory_in_the_place_of_a_description_is_nothing_of_ours(
    make_store: StoreMaker, origin: Origin, directory: Path, overflow: Path
) -> None:
    store = make_store()
    origin.bodies["key"] = b"body"
    await lent_from(store, origin)
    (path,) = records(directory)
    path.unlink()
    path.mkdir()
    (path / "notes.txt").touch()
    assert await store.stored("key") is None
    assert (await lent_from(store, origin)).parent == overflow
    assert (path / "notes.txt").exists()


@pytest.mark.parametrize("damage", ["missing", "cut", "longer"])
async def test_a_source_that_is_not_what_its_description_says_is_fetched_again(
    make_store: StoreMaker, origin: Origin, directory: Path, damage: str
) -> None:
    store = make_store()
    origin.bodies["key"] = b"the body"
    path = await lent_from(store, origin)
    await until(lambda: not leftovers(directory))
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"the" if damage == "cut" else b"the body and more")
    assert await store.stored("key") is None
    assert await lent_from(store, origin) != path
    assert origin.fetches["key"] == 2
    # A description without a source may have been swept away before anybody asked.
    assert store.statistics()["damaged"] == 1 or damage == "missing"
    await until(lambda: len(whole_files(directory)) == 1)


async def test_a_leaf_that_is_a_link_is_never_followed(
    make_store: StoreMaker, origin: Origin, directory: Path, overflow: Path, tmp_path: Path
) -> None:
    store = make_store()
    origin.bodies["key"] = b"body"
    path = await lent_from(store, origin)
    await until(lambda: not leftovers(directory))
    shutil.rmtree(path.parent)
    (tmp_path / "outside").mkdir()
    path.parent.symlink_to(tmp_path / "outside")
    assert (await lent_from(store, origin)).parent == overflow
    assert not await store.forget("key")
    assert list((tmp_path / "outside").iterdir()) == []

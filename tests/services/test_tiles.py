"""Tiles are copied without a worker, out of files that are lent and watched."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from iiif_server.errors import ServerBusy, UnreadableSource
from iiif_server.execution.messages import Outcome
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, WorkbenchSettings
from iiif_server.imaging.tiles import TileIndex
from iiif_server.imaging.workbench import Workbench
from iiif_server.services import reading, tiles
from iiif_server.services.tiles import TileService, TileSource
from tests.imaging.helpers import array, picture
from tests.support.pyramids import KINDS, write_pyramid
from tests.support.server import eventually

SIZE = Dimensions(450, 333)


def operation(request="128,0,128,128/max/0/default.jpg", size=SIZE):
    return resolve(parse_image_parameters(*request.split("/")), size, Limits())


class IndexingPool:
    """Looks into files as a worker does."""

    def __init__(self):
        self.tasks = []
        self.error = None

    async def run(self, task):
        self.tasks.append(task)
        if self.error:
            raise self.error
        return await asyncio.to_thread(self._look, task)

    def _look(self, task):
        workbench = Workbench(WorkbenchSettings())
        try:
            return Outcome(*workbench.tiles(task.argument))
        finally:
            workbench.close()


class Store:
    """Lends files, and counts what is lent."""

    def __init__(self, path):
        self.path = path
        self.lent = self.asked = 0
        self.current = True

    def source(self):
        self.asked += 1
        return TileSource("1", 1, self.lend, self.confirm)

    @asynccontextmanager
    async def lend(self):
        self.lent += 1
        try:
            yield self.path
        finally:
            self.lent -= 1

    async def confirm(self):
        await asyncio.sleep(0)
        return self.current


@pytest.fixture
async def pool():
    return IndexingPool()


@pytest.fixture
async def store(tmp_path):
    path = tmp_path / "pyramid.tif"
    await asyncio.to_thread(write_pyramid, path, picture(*SIZE), KINDS[0], 128)
    return Store(path)


@pytest.fixture
async def service(pool):
    service = TileService(pool, 1 << 20)
    yield service
    await service.close()


def made_by_a_worker(path: Path, wanted):
    workbench = Workbench(WorkbenchSettings())
    try:
        return workbench.render(RenderTask(SourceFile(str(path), "1"), wanted, RenderSettings()))
    finally:
        workbench.close()


async def test_a_tile_is_what_a_worker_would_make_of_it(service, store):
    data = await service.copy("a", operation(), store.source)
    lane, made = await asyncio.to_thread(made_by_a_worker, store.path, operation())

    assert lane["lane"] == "copy"
    assert data == made


async def test_a_tile_of_an_open_file_is_had_at_once(service, store):
    assert service.copy_at_once("a", operation()) is None
    data = await service.copy("a", operation(), store.source)
    assert service.copy_at_once("a", operation()) == data
    assert service.copy_at_once("a", operation("0,0,100,100/max/0/default.jpg")) is None
    assert service.copy_at_once("another version", operation()) is None
    os.truncate(store.path, 1000)
    assert service.copy_at_once("a", operation()) is None


async def test_a_file_is_looked_into_once_by_however_many(service, store, pool):
    answers = await asyncio.gather(*(service.copy("a", operation(), store.source) for _ in range(50)))
    answers += [await service.copy("a", operation(), store.source) for _ in range(3)]

    assert len(set(answers)) == 1
    assert answers[0] is not None
    assert (len(pool.tasks), store.asked, store.lent) == (1, 1, 1)


async def test_what_is_no_tile_is_left_to_a_worker(service, store):
    for request in (
        "128,0,128,128/max/90/default.jpg",
        "384,0,66,128/max/0/default.jpg",
        "0,0,128,128/max/0/default.png",
        "128,0,128,128/max/0/gray.jpg",
    ):
        assert await service.copy("a", operation(request), store.source) is None
    assert await service.copy("a", operation(size=Dimensions(500, 333)), store.source) is None
    assert await service.copy("a", operation(), store.source) is not None


async def test_a_source_without_tiles_is_asked_about_once(service, tmp_path, pool):
    path = tmp_path / "a.jpg"
    await asyncio.to_thread(picture(*SIZE).save, path)
    store = Store(path)

    assert [await service.copy("a", operation(), store.source) for _ in range(3)] == [None] * 3
    assert (len(pool.tasks), store.lent) == (1, 0)


async def test_a_source_that_changed_while_it_was_opened_is_not_used(service, store):
    store.current = False
    assert await service.copy("a", operation(), store.source) is None
    await eventually(lambda: not store.lent, 5, "given back")

    store.current = True
    assert await service.copy("a", operation(), store.source) is not None


@pytest.mark.parametrize("how", ["overwritten", "cut", "replaced", "touched"])
async def test_a_file_that_changes_is_let_go(service, store, how):
    """Nothing is copied out of it; who asks again finds out what it is now."""
    assert await service.copy("a", operation(), store.source) is not None

    def change():
        if how == "overwritten":
            with store.path.open("r+b") as file:
                file.write(b"x")
        elif how == "cut":
            os.truncate(store.path, 2000)
        elif how == "touched":
            os.utime(store.path, (1, 1))
        else:
            write_pyramid(store.path.with_suffix(".new"), picture(*SIZE, seed=9), KINDS[0], 128)
            store.path.with_suffix(".new").replace(store.path)

    await asyncio.to_thread(change)
    assert await service.copy("a", operation(), store.source) is None
    await eventually(lambda: not store.lent, 5, "given back")
    assert service.statistics()["sources"] == 0
    again = await service.copy("b", operation(), store.source)
    assert (again is not None) == (how in {"touched", "replaced"})


async def test_a_damaged_tile_is_left_to_a_worker(service, store, pool):
    await service.copy("a", operation(), store.source)
    index = TileIndex.unpack(*await asyncio.to_thread(_pack, store.path))
    start, length = index.levels[0].offsets[1], index.levels[0].counts[1]

    def damage():
        with store.path.open("r+b") as file:
            file.seek(start + length - 1)
            file.write(b"\x00")

    await asyncio.to_thread(damage)
    assert await service.copy("b", operation(), store.source) is None
    other = operation("0,0,128,128/max/0/default.jpg")
    assert await service.copy("b", other, store.source) is not None


def _pack(path):
    workbench = Workbench(WorkbenchSettings())
    try:
        return workbench.tiles(SourceFile(str(path), "1"))
    finally:
        workbench.close()


@pytest.mark.parametrize("flag", [None, 1 << 30])
async def test_without_a_look_at_the_page_cache_a_thread_reads(service, store, monkeypatch, flag):
    """On systems and file systems that can't say what is in memory."""
    expected = await service.copy("a", operation(), store.source)
    monkeypatch.setattr(reading, "_NOWAIT", flag)

    assert await service.copy("a", operation(), store.source) == expected
    await asyncio.to_thread(os.truncate, store.path, 100)
    assert await service.copy("a", operation(), store.source) is None


async def test_a_disk_that_does_not_answer_is_not_waited_for(service, store, monkeypatch):
    await service.copy("a", operation(), store.source)
    release = asyncio.Event()

    async def slow(*_):
        await release.wait()

    monkeypatch.setattr(reading, "_NOWAIT", None)
    monkeypatch.setattr(reading, "_TIMEOUT", 0.05)
    monkeypatch.setattr(asyncio, "to_thread", slow)
    assert await service.copy("a", operation(), store.source) is None


async def test_a_huge_tile_is_left_to_a_worker(service, store, monkeypatch):
    monkeypatch.setattr(tiles, "LARGEST", 100)
    assert await service.copy("a", operation(), store.source) is None


async def test_few_files_stay_open(service, store, monkeypatch):
    monkeypatch.setattr(tiles, "MAX_OPEN", 2)
    for key in "abcab":
        assert await service.copy(key, operation(), store.source) is not None
    assert service.statistics()["sources"] == 2
    await eventually(lambda: store.lent == 2, 5, "the others given back")


async def test_positions_take_no_more_than_their_budget(pool, store):
    whole = TileService(pool, 1 << 20)
    await whole.copy("a", operation(), store.source)
    weight = whole.statistics()["bytes"]
    await whole.close()
    assert whole.statistics()["bytes"] == 0

    two = TileService(pool, 2 * weight)
    for key in "abc":
        assert await two.copy(key, operation(), store.source) is not None
    assert two.statistics() == {"sources": 2, "bytes": 2 * weight, "max_bytes": 2 * weight}
    await two.close()
    none = TileService(pool, weight - 1)
    assert [await none.copy("a", operation(), store.source) for _ in "ab"] == [None, None]
    assert none.statistics()["sources"] == 0
    await none.close()
    off = TileService(pool, 0)
    asked = store.asked
    assert await off.copy("a", operation(), store.source) is None
    assert store.asked == asked


async def test_a_file_that_nobody_asks_for_is_given_back(service, store, monkeypatch):
    monkeypatch.setattr(tiles, "IDLE_SECONDS", 0.01)
    assert await service.copy("a", operation(), store.source) is not None
    await eventually(lambda: not store.lent, 5, "given back")
    assert service.statistics() == {"sources": 0, "bytes": 0, "max_bytes": 1 << 20}
    assert await service.copy("a", operation(), store.source) is not None


@pytest.mark.parametrize("error", [ServerBusy("no"), UnreadableSource("no"), RuntimeError("a bug")])
async def test_what_fails_is_left_to_a_worker(service, store, pool, error):
    """Whose answer tells what is wrong; and it is tried again."""
    pool.error = error
    assert await service.copy("a", operation(), store.source) is None
    await eventually(lambda: not store.lent, 5, "given back")
    pool.error = None
    assert await service.copy("a", operation(), store.source) is not None


async def test_clients_that_leave_leave_nothing(service, store, pool):
    clients = [asyncio.create_task(service.copy("a", operation(), store.source)) for _ in range(3)]
    await asyncio.sleep(0)
    for client in clients:
        client.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError)
        for each in await asyncio.gather(*clients, return_exceptions=True)
    )
    await eventually(lambda: not store.lent, 5, "given back")
    assert await service.copy("a", operation(), store.source) is not None


async def test_closing_gives_back_what_is_being_opened(pool, store):
    service = TileService(pool, 1 << 20)
    client = asyncio.create_task(service.copy("a", operation(), store.source))
    await asyncio.sleep(0.001)
    await service.close()

    assert await client is None
    assert store.lent == 0
    assert await service.copy("a", operation(), store.source) is None


async def test_pixels(service, store):
    data = await service.copy("a", operation(), store.source)
    expected = array(picture(*SIZE))[0:128, 128:256]

    assert abs(array(data) - expected).mean() < 6

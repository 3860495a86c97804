"""Pyramids that are read: opened once, closed when idle, and any failure means no tile."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from iiif_server.caches.pyramids import OpenPyramids
from iiif_server.caches.sources.records import Fetched
from iiif_server.caches.sources.store import SourceStore
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.imaging.pyramids.index import Span, tile_request, write_index
from tests.support.server import eventually

IMAGE = Dimensions(600, 500)
TILES = [b"\xff\xd8\xff" + bytes([number]) * 40 + b"\xff\xd9" for number in range(3)]
REQUESTS = [
    tile_request(IMAGE, Rectangle(0, 0, 512, 500), 1),
    tile_request(IMAGE, Rectangle(512, 0, 88, 500), 1),
    tile_request(IMAGE, Rectangle(0, 0, 600, 500), 2),
]


@pytest.fixture
async def store(tmp_path):
    return SourceStore(tmp_path / "store", 64 << 20)


@pytest.fixture
async def opened(store):
    made = OpenPyramids(store, most=2)
    yield made
    await made.close()


def write_pyramid(path: Path) -> int:
    with path.open("r+b") as out:
        spans = []
        for tile in TILES:
            spans.append(Span(out.tell(), len(tile)))
            out.write(tile)
        write_index(out, IMAGE, {1: spans[:2], 2: spans[2:]})
        return out.tell()


async def keep(store, key, write=write_pyramid):
    """Put a pyramid into a store as the builder does."""

    async def fetch(writer, previous):
        path = await writer.hand_over(1 << 16)
        await writer.take_back(await asyncio.to_thread(write, path))
        return Fetched(version="1")

    async with store.lease(key, fetch, max_age=None) as stored:
        return stored.path


def open_files(directory: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # a thread closes them meanwhile
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(str(directory)) and ".source" in path]


async def test_the_tiles_are_read(store, opened):
    await keep(store, "a")

    assert [await opened.tile("a", request) for request in REQUESTS] == TILES
    assert await opened.tile("a", tile_request(Dimensions(601, 500), Rectangle(0, 0, 512, 500), 1)) is None


async def test_what_is_not_there_is_no_tile_until_it_comes(store, opened):
    assert await opened.tile("a", REQUESTS[0]) is None
    await keep(store, "a")
    assert await opened.tile("a", REQUESTS[0]) == TILES[0]


async def test_a_pyramid_that_is_being_built_is_not_waited_for(store, opened):
    begun, gate = asyncio.Event(), asyncio.Event()

    async def fetch(writer, previous):
        begun.set()
        await gate.wait()
        path = await writer.hand_over(1 << 16)
        await writer.take_back(await asyncio.to_thread(write_pyramid, path))
        return Fetched(version="1")

    async def lease():
        async with store.lease("a", fetch, max_age=None):
            pass

    task = asyncio.create_task(lease())
    await begun.wait()
    assert await opened.tile("a", REQUESTS[0]) is None
    gate.set()
    await task
    assert await opened.tile("a", REQUESTS[0]) == TILES[0]


async def test_only_so_many_stay_open(store, opened, tmp_path):
    for key in "abcd":
        await keep(store, key)
    for key in "abcdab":
        assert await opened.tile(key, REQUESTS[1]) == TILES[1]
    # each by its lease and its reader
    await eventually(lambda: len(open_files(tmp_path)) == 4, 5, "closed what is too many")


async def test_one_that_is_closed_while_it_is_read_is_read_to_the_end(store, opened):
    for key in "abcd":
        await keep(store, key)
    for _ in range(10):
        answers = await asyncio.gather(*(opened.tile(key, REQUESTS[0]) for key in "abcdabcd"))
        assert set(answers) <= {TILES[0], None}
        assert TILES[0] in answers


async def test_an_idle_one_is_closed(store, tmp_path):
    opened = OpenPyramids(store, idle_seconds=0.05)
    await keep(store, "a")
    await opened.tile("a", REQUESTS[0])
    await eventually(lambda: not open_files(tmp_path), 5, "closed what is idle")
    assert await opened.tile("a", REQUESTS[0]) == TILES[0]
    await opened.close()


async def test_a_forgotten_one_goes_once_it_is_closed(store, tmp_path):
    opened = OpenPyramids(store, idle_seconds=0.05)
    path = await keep(store, "a")
    await opened.tile("a", REQUESTS[0])
    await store.forget("a")
    await eventually(lambda: not os.path.lexists(path), 5, "removed with its last lease")
    assert await opened.tile("a", REQUESTS[0]) is None
    await opened.close()


@pytest.mark.parametrize("at", [0, -1], ids=["tile", "table"])
async def test_a_damaged_one_is_removed(store, opened, at):
    path = await keep(store, "a")

    def damage():
        data = bytearray(path.read_bytes())
        data[at] ^= 0xFF
        path.write_bytes(data)

    await asyncio.to_thread(damage)
    assert await opened.tile("a", REQUESTS[0]) is None
    assert await store.stored("a") is None
    await keep(store, "a")
    assert await opened.tile("a", REQUESTS[0]) == TILES[0]

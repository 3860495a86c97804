"""Tiles from pyramids: the same bytes from wherever they come, and no request that waits for nothing."""

import asyncio
import os
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from iiif_server.api import ImageInfo
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.pyramids import OpenPyramids
from iiif_server.caches.sources.store import SourceStore
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.errors import RenderFailed, ServerBusy, SourceChanging, TaskTimeout
from iiif_server.execution.messages import Outcome
from iiif_server.iiif import v3
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import (
    ExactSize,
    Format,
    FullRegion,
    ImageParameters,
    PixelRegion,
    Quality,
    Rotation,
)
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.pyramids.index import tiles_of
from iiif_server.imaging.tasks import RenderSettings, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.image_requests import ImageRequest, RenderRules
from iiif_server.services.images import ImageService
from iiif_server.services.infos import InfoService
from iiif_server.services.pyramid_builder import PyramidBuilder, TileRules, kept_for
from iiif_server.services.pyramids import PyramidRules, PyramidService
from tests.imaging.helpers import picture
from tests.services.test_infos import FakeProfile
from tests.support.server import eventually

SIZE = Dimensions(1100, 700)
NAME = Identifier("fake", "a.jpg")
LEVEL_0 = [(x, y, min(512, 1100 - x), min(512, 700 - y)) for y in (0, 512) for x in (0, 512, 1024)]


class OneFile(FakeProfile):
    """Lends one real file."""

    def __init__(self, tmp_path, path):
        super().__init__(tmp_path, source_check_interval=0)
        self.path = path
        self.tile = self.decoding = None

    async def get_info(self, name):
        await asyncio.sleep(0)
        return ImageInfo(name, *SIZE, self.version, tile=self.tile, decoding=self.decoding)

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        yield self.path


class BenchPool:
    """Real image work, each kind one at a time as in a worker; pyramids wait at a gate."""

    def __init__(self):
        self.workbench = Workbench(WorkbenchSettings())
        self.handlers: dict[str, Any] = {"render": self.workbench.render, "pyramid": self.workbench.pyramid}
        self.locks = {"render": asyncio.Lock(), "pyramid": asyncio.Lock()}
        self.tasks = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.on_pyramid = lambda: None
        self.taken_by = None

    room = 1

    def check_room(self, coming=0):
        pass

    def is_taken_by(self, affinity):
        return affinity == self.taken_by

    async def run(self, task):
        self.tasks.append(task)
        async with self.locks[task.method]:
            if task.method == "pyramid":
                await self.gate.wait()
                self.on_pyramid()
            return Outcome(*await asyncio.to_thread(self.handlers[task.method], task.argument))

    def count(self, method):
        return sum(task.method == method for task in self.tasks)


class Site:
    """All that answers image requests, around one file."""

    def __init__(
        self, directory, policy="on_demand", min_pixels=1, size=64 << 20, keep_metadata=False, patience=100.0
    ):
        path = directory / "source.jpg"
        if not path.exists():
            picture(*SIZE).save(path, "JPEG", quality=92)
        settings = RenderSettings(keep_metadata=keep_metadata)
        self.profile = OneFile(directory, path)
        self.pool = BenchPool()
        self.infos = InfoService(ProfileRegistry({"fake": self.profile}))
        self.store = SourceStore(directory / "pyramids", size, max_source_bytes=size)
        self.builder = PyramidBuilder(
            self.store, self.pool, self.infos, {"fake": TileRules(settings, "codecs")}, 9.0
        )
        self.pyramids = PyramidService(
            self.builder,
            OpenPyramids(self.store),
            {"fake": PyramidRules(policy, min_pixels)},
            {"fake": settings},
            patience=patience,
        )
        self.memory = MemoryCache(0)
        rules = RenderRules(Limits(), settings, frozenset(Format), "codecs")
        cache = DerivativeCache(self.memory)
        self.images = ImageService(self.infos, self.pool, cache, {"fake": rules}, pyramids=self.pyramids)

    async def get(self, region, size=None, degrees=0, quality=Quality.DEFAULT, target=Format.JPG):
        whole = region is None
        size = size or (SIZE if whole else region[2:])
        parameters = ImageParameters(
            FullRegion() if whole else PixelRegion(*region),
            ExactSize(size[0], size[1], upscale=False),
            Rotation(Decimal(degrees), mirror=False),
            quality,
            target,
        )
        prepared = await self.images.prepare(ImageRequest(NAME, parameters, v3.API))
        prepared, derivative = await self.images.derivative(prepared)
        with derivative:
            return prepared.key, derivative.body

    async def is_there(self):
        info = await self.infos.refresh(NAME)
        return await self.builder.is_there(self.builder.key(NAME, info))


@pytest.fixture
async def make_site(tmp_path):
    made = []

    def make(**options):
        made.append(Site(tmp_path, **options))
        return made[-1]

    yield make
    for site in made:
        await site.pyramids.close()
        site.pool.workbench.close()


def leftovers(directory):
    return [
        name for _, _, names in os.walk(directory) for name in names if name.endswith((".part", ".source"))
    ]


async def test_a_viewer_gets_the_same_with_and_without(make_site):
    """Every tile of every level, key and bytes; the second time nothing is rendered any more."""
    without, with_pyramid = make_site(policy="never"), make_site()
    wanted = [
        (tuple(region), (-(-region.width // factor), -(-region.height // factor)))
        for factor in (1, 2, 4)
        for region in tiles_of(SIZE, factor)
    ]
    expected = [await without.get(*each) for each in wanted]
    first = await asyncio.gather(*(with_pyramid.get(*each) for each in wanted))
    await eventually(lambda: not with_pyramid.pyramids._builds, 20, "the pyramid was built")
    rendered = with_pyramid.pool.count("render")
    second = [await with_pyramid.get(*each) for each in wanted]

    assert first == expected
    assert second == expected
    assert with_pyramid.pool.count("pyramid") == 1
    # The smallest level is the whole image, which is never taken from the pyramid.
    assert with_pyramid.pool.count("render") == rendered + 1
    assert without.pool.count("pyramid") == 0


async def test_while_it_is_built_one_tile_at_a_time_comes_singly(make_site):
    site = make_site()
    site.pool.gate.clear()
    first = await site.get(LEVEL_0[0])  # the first tile of all has nothing built
    assert site.pool.count("pyramid") == 0
    others = await asyncio.gather(*(site.get(region) for region in LEVEL_0[1:4]))
    await eventually(lambda: site.pool.count("pyramid") == 1, 5, "the build began")
    assert all(task.argument.is_alone for task in site.pool.tasks if task.method == "render")

    async def hold():
        async with site.pool.locks["render"]:
            held.set()
            await release.wait()

    held, release = asyncio.Event(), asyncio.Event()
    holding = asyncio.create_task(hold())
    await held.wait()
    late = [asyncio.create_task(site.get(region)) for region in LEVEL_0[:6]]
    await asyncio.sleep(0.05)
    site.pool.gate.set()
    # One has its turn, behind a worker that is busy: it is served as the others are, as the pyramid came.
    await eventually(lambda: all(task.done() for task in late), 20, "the pyramid came")
    release.set()
    await holding
    answers = [await task for task in late]
    assert answers[0] == first
    assert answers[1:4] == others


async def test_what_is_no_tile_is_rendered_and_builds_nothing(make_site):
    site = make_site()
    for _ in range(2):
        await site.get(None, (275, 175))
        await site.get((0, 0, 512, 512), degrees=90)
        await site.get((0, 0, 512, 512), quality=Quality.GRAY)
        await site.get((0, 0, 512, 512), target=Format.PNG)
        await site.get((3, 5, 300, 200))

    assert site.pool.count("pyramid") == 0
    assert site.pool.count("render") == 10


@pytest.mark.parametrize(
    "options",
    [{"policy": "never"}, {"policy": "ahead"}, {"min_pixels": 770_001}, {"keep_metadata": True}],
    ids=str,
)
async def test_nothing_is_built_where_it_is_not_wanted(make_site, options):
    site = make_site(**options)
    for region in LEVEL_0:
        await site.get(region)

    assert site.pool.count("pyramid") == 0
    assert not any(task.argument.is_alone for task in site.pool.tasks)


async def test_nothing_is_built_of_what_is_stored_in_tiles(make_site):
    site = make_site()
    site.profile.tile = Dimensions(256, 256)
    for region in LEVEL_0:
        await site.get(region)

    assert site.pool.count("pyramid") == 0


async def test_of_what_is_decoded_in_pieces_one_is_built_by_command_only(make_site):
    site = make_site()
    site.profile.decoding = Decoding(4, piece=Dimensions(256, 256))
    for region in LEVEL_0:
        await site.get(region)
    assert site.pool.count("pyramid") == 0

    await site.builder.build(NAME, await site.infos.refresh(NAME))
    count = len(site.pool.tasks)
    await site.get(LEVEL_0[0])
    assert len(site.pool.tasks) == count


async def test_one_built_ahead_is_used(make_site):
    site = make_site(policy="ahead")
    info = await site.infos.refresh(NAME)
    built = await site.builder.build(NAME, info)
    again = await site.builder.build(NAME, info)
    body = (await site.get(LEVEL_0[0]))[1]

    assert (built.is_new, built.tiles, built.left_out) == (True, 9, None)
    assert again == built._replace(is_new=False)
    assert body.startswith(b"\xff\xd8")
    assert [task.method for task in site.pool.tasks] == ["pyramid"]
    assert site.pool.tasks[0].heavy
    assert [kept_for(key)[:3] async for key in site.store.stored_keys()] == [("fake", "a.jpg", 1)]


async def test_a_new_version_gets_its_own(make_site):
    site = make_site()
    for region in LEVEL_0:
        await site.get(region)
    await eventually(lambda: not site.pyramids._builds, 20, "the pyramid was built")
    assert await site.is_there()
    site.profile.version = "2"
    assert not await site.is_there()
    await site.get(LEVEL_0[0])
    assert [task.method for task in site.pool.tasks][-1] == "render"


async def test_a_source_that_changes_while_it_is_built_gets_none(make_site, tmp_path):
    site = make_site()
    site.pool.on_pyramid = lambda: setattr(site.profile, "version", "2")
    with pytest.raises(SourceChanging):
        await site.builder.build(NAME, await site.infos.refresh(NAME))
    await eventually(lambda: not leftovers(tmp_path), 5, "nothing is left")


@pytest.mark.parametrize("error", [RenderFailed("no"), TaskTimeout("late"), ServerBusy("full")], ids=str)
async def test_a_build_that_fails_is_not_tried_at_each_tile(make_site, tmp_path, error, caplog):
    site = make_site()

    def fail():
        raise error

    site.pool.on_pyramid = fail
    bodies = [(await site.get(region))[1] for region in LEVEL_0 * 2]

    assert site.pool.count("pyramid") == 1
    assert all(bodies)
    assert [record.getMessage() for record in caplog.records] == [
        f"no pyramid of fake:a.jpg for {5 if isinstance(error, ServerBusy) else 600} seconds: {error}"
    ]
    await eventually(lambda: not leftovers(tmp_path), 5, "nothing is left")


async def test_without_room_for_it_tiles_are_rendered(make_site, tmp_path, caplog):
    site = make_site(size=100_000)
    bodies = [(await site.get(region))[1] for region in LEVEL_0]

    assert all(bodies)
    assert site.pool.count("pyramid") == 0
    assert not leftovers(tmp_path)
    told = [record.getMessage() for record in caplog.records if "no pyramid of" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("no pyramid of fake:a.jpg for 600 seconds: no room for ")


async def test_the_end_of_the_server_ends_a_build_and_leaves_nothing(make_site, tmp_path):
    site = make_site()
    site.pool.gate.clear()
    for region in LEVEL_0[:2]:
        await site.get(region)
    assert site.pyramids._builds
    await site.pyramids.close()

    assert not site.pyramids._builds
    assert not leftovers(tmp_path)


async def test_with_too_many_builds_under_way_tiles_come_as_without(make_site, monkeypatch):
    monkeypatch.setattr("iiif_server.services.pyramids._MOST_BUILDS", 0)
    site = make_site()
    for region in LEVEL_0:
        await site.get(region)

    assert [task.method for task in site.pool.tasks] == ["render"] * 6
    assert [task.argument.is_alone for task in site.pool.tasks] == [True] + [False] * 5


async def test_nobody_waits_for_ever(make_site, monkeypatch):
    """A build that takes too long for a person keeps them from nothing."""
    monkeypatch.setattr("iiif_server.services.pyramids._PAUSES", 1e6)  # the next turn is too far away
    site = make_site(patience=0.05)
    site.pool.gate.clear()
    bodies = [(await site.get(region))[1] for region in LEVEL_0]

    assert all(bodies)
    (build,) = site.pyramids._builds.values()
    assert build.is_slow
    # One came singly before there was a build, and one in its turn; then all come as without one.
    assert [task.argument.is_alone for task in site.pool.tasks if task.method == "render"][2:] == [False] * 4
    site.pool.gate.set()


async def test_nothing_is_made_any_more_once_the_pyramid_is_there(make_site):
    """Those that lost patience wait for the worker that builds: they are not to keep it busy afterwards."""
    site = make_site(patience=0.02)
    site.pool.gate.clear()
    await site.get(LEVEL_0[0])
    async with site.pool.locks["render"]:
        tasks = [asyncio.create_task(site.get(region)) for region in LEVEL_0]
        await eventually(lambda: site.pool.count("render") == 1 + len(LEVEL_0), 5, "all lost patience")
        made = site.pool.workbench.render
        site.pool.handlers["render"] = lambda _: pytest.fail("it was made")
        site.pool.gate.set()
        bodies = [body for _, body in await asyncio.gather(*tasks)]
    site.pool.handlers["render"] = made
    assert bodies == [(await make_site(policy="never").get(region))[1] for region in LEVEL_0]


@pytest.mark.parametrize("room", [100, 2])
async def test_where_the_only_worker_builds_nothing_is_handed_to_it(make_site, room):
    """No more wait for the build, though, than could wait for the worker."""
    site = make_site(patience=0.02)
    site.pool.room = room
    site.pool.gate.clear()
    await site.get(LEVEL_0[0])
    async with site.pool.locks["render"]:
        # Its turn comes with the build: it is before that at the pool.
        tasks = [asyncio.create_task(site.get(LEVEL_0[0]))]
        await eventually(lambda: site.pool.count("pyramid") == 1, 5, "the build began")
        site.pool.taken_by = site.pool.tasks[-1].affinity
        tasks += [asyncio.create_task(site.get(region)) for region in LEVEL_0[1:]]
        (build,) = site.pyramids._builds.values()
        waiting = min(room, 5)
        await eventually(lambda: build.waiting == waiting, 5, "they wait for the build")
        await eventually(lambda: site.pool.count("render") == 2 + 5 - waiting, 5, "the others for the worker")
        site.pool.gate.set()
        bodies = [body for _, body in await asyncio.gather(*tasks)]
    assert site.pool.count("render") == 2 + 5 - waiting
    assert build.waiting == 0
    assert bodies == [(await make_site(policy="never").get(region))[1] for region in LEVEL_0]


async def test_a_build_that_fails_leaves_those_beside_it_to_the_workers(make_site):
    site = make_site(patience=0.02)
    site.pool.gate.clear()

    def fail():
        raise RenderFailed("No.")

    site.pool.on_pyramid = fail
    await site.get(LEVEL_0[0])
    async with site.pool.locks["render"]:
        tasks = [asyncio.create_task(site.get(region)) for region in LEVEL_0]
        await eventually(lambda: site.pool.count("render") == 1 + len(LEVEL_0), 5, "all lost patience")
        site.pool.gate.set()
        await eventually(lambda: not site.pyramids._builds, 5, "the build failed")
    assert all(body for _, body in await asyncio.gather(*tasks))


async def test_clients_that_leave_do_not_end_a_build(make_site):
    site = make_site()
    site.pool.gate.clear()
    await site.get(LEVEL_0[0])
    async with site.pool.locks["render"]:
        tasks = [asyncio.create_task(site.get(region)) for region in LEVEL_0]
        await eventually(lambda: bool(site.pyramids._builds), 5, "a build began")
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    (build,) = site.pyramids._builds.values()
    await eventually(lambda: not build.turn.locked(), 5, "the turn was passed on")
    site.pool.gate.set()
    await eventually(lambda: not site.pyramids._builds, 20, "the pyramid was built")
    assert await site.is_there()

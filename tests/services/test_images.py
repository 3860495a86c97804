"""The path of one image request: cheapest answer first, and nothing stale ever kept."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from iiif_server.caches.disk import DiskCache
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.errors import ImageNotFound, InvalidRequest, ServerBusy, SourceChanging, UnreadableSource
from iiif_server.execution.messages import Outcome
from iiif_server.iiif import v2, v3
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format, parse_image_parameters
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.decoding import Decoding, JpegFacts
from iiif_server.imaging.plan import shared_decoding
from iiif_server.imaging.tasks import RenderSettings, SourceProperties
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.image_requests import ImageRequest, RenderRules
from iiif_server.services.images import ImageService
from iiif_server.services.infos import InfoService
from tests.services.test_infos import FakeProfile

REQUEST = ImageRequest(
    Identifier("fake", "a.jpg"), parse_image_parameters("full", "5,", "0", "default.jpg"), v3.API
)


class LendingProfile(FakeProfile):
    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.hints = []

    media_type: str | None = None

    async def get_info(self, name):
        return replace(await super().get_info(name), media_type=self.media_type)

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        self.hints.append(size_hint)
        yield Path("/source") / info.name


class RenderingPool:
    """Renders the version it was asked for as text; can be told to let the source change meanwhile."""

    def __init__(self, profile):
        self.profile = profile
        self.tasks = []
        self.changes = []
        self.fails = False
        self.room = 100

    def check_room(self, coming=0):
        if coming >= self.room:
            raise ServerBusy("full")

    async def run(self, task):
        self.tasks.append(task)
        await asyncio.sleep(0.01)
        if self.changes:
            self.profile.version = self.changes.pop(0)
        if self.fails:
            raise UnreadableSource("broken")
        return Outcome({}, f"{task.argument.source.version}".encode())


@pytest.fixture
def parts(tmp_path):
    profile = LendingProfile(tmp_path)
    pool = RenderingPool(profile)
    cache = DerivativeCache(MemoryCache(1 << 20))
    infos = InfoService(ProfileRegistry({"fake": profile}))
    rules = RenderRules(Limits(max_area=10_000), RenderSettings(), frozenset({Format.JPG}), "codecs")
    return profile, pool, ImageService(infos, pool, cache, {"fake": rules})


async def body(service, request=REQUEST):
    _, derivative = await service.derivative(await service.prepare(request))
    with derivative:
        return derivative.body


async def test_made_once_then_found(parts):
    _, pool, service = parts

    assert [await body(service) for _ in range(3)] == [b"1"] * 3
    assert len(pool.tasks) == 1


async def test_two_hundred_clients_one_rendering(parts):
    _, pool, service = parts

    assert set(await asyncio.gather(*(body(service) for _ in range(200)))) == {b"1"}
    assert len(pool.tasks) == 1


async def test_servers_that_share_a_disk_render_once(tmp_path):
    profile = LendingProfile(tmp_path)
    pools = [RenderingPool(profile) for _ in range(3)]
    caches = [
        DerivativeCache(MemoryCache(1 << 20), DiskCache(tmp_path / "cache", 1 << 26, processes=3))
        for _ in pools
    ]
    rules = {
        "fake": RenderRules(Limits(max_area=10_000), RenderSettings(), frozenset({Format.JPG}), "codecs")
    }
    services = [
        ImageService(InfoService(ProfileRegistry({"fake": profile})), pool, cache, rules)
        for pool, cache in zip(pools, caches, strict=True)
    ]
    answers = await asyncio.gather(*(body(service) for service in services for _ in range(5)))
    for cache in caches:
        await cache.close()

    assert set(answers) == {b"1"}
    assert sum(len(pool.tasks) for pool in pools) == 1


async def test_two_versions_share_the_work_but_not_the_canonical_form(parts):
    _, pool, service = parts
    third = await service.prepare(REQUEST)
    second = await service.prepare(replace(REQUEST, api=v2.API))
    answers = await asyncio.gather(service.derivative(third), service.derivative(second))

    assert [made.canonical for made, _ in answers] == ["full/5,5/0/default.jpg", "full/5,/0/default.jpg"]
    assert len(pool.tasks) == 1


async def test_the_first_client_leaving_fails_nobody(parts):
    _, pool, service = parts
    first = asyncio.create_task(body(service))
    await asyncio.sleep(0.02)
    others = [asyncio.create_task(body(service)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()

    assert await asyncio.gather(*others) == [b"1"] * 5
    assert len(pool.tasks) == 1


async def test_a_source_that_changes_while_it_is_read_is_read_again(parts):
    profile, pool, service = parts
    pool.changes = ["2"]
    prepared = await service.prepare(REQUEST)
    made, derivative = await service.derivative(prepared)

    assert derivative.body == b"2"
    assert made.info.version == "2"
    assert made.key != prepared.key
    assert await body(service) == b"2"
    assert len(pool.tasks) == 2  # the second answer came from the cache, under the new key
    assert profile.asked >= 2


async def test_a_half_written_source_is_tried_again_and_nothing_wrong_is_kept(parts):
    _, pool, service = parts
    pool.fails, pool.changes = True, ["2", "3", "4", "5"]
    with pytest.raises(SourceChanging) as caught:
        await body(service)
    assert caught.value.retry_after

    pool.fails, pool.changes = False, []
    assert await body(service) == b"4"


async def test_a_broken_source_is_an_error_each_time(parts):
    _, pool, service = parts
    pool.fails = True
    for _ in range(2):
        with pytest.raises(UnreadableSource):
            await body(service)
    assert len(pool.tasks) == 2


async def test_a_source_that_vanishes_meanwhile_is_not_found(parts, monkeypatch):
    profile, _, service = parts
    prepared = await service.prepare(REQUEST)

    async def gone(_):
        raise ImageNotFound("gone")

    monkeypatch.setattr(profile, "get_info", gone)
    with pytest.raises(ImageNotFound):
        await service.derivative(prepared)


async def test_a_format_that_no_codec_here_writes_is_refused(parts):
    _, pool, service = parts
    parameters = parse_image_parameters("full", "5,", "0", "default.webp")
    with pytest.raises(InvalidRequest, match="webp"):
        await service.prepare(replace(REQUEST, parameters=parameters))
    assert pool.tasks == []


async def test_each_profile_has_its_own_rules(tmp_path):
    profiles = {name: LendingProfile(tmp_path) for name in ("wide", "small")}
    pool = RenderingPool(profiles["wide"])
    wide = RenderRules(Limits(max_area=10_000), RenderSettings(), frozenset({Format.JPG}), "codecs")
    small = RenderRules(
        Limits(max_width=4), RenderSettings(jpeg_quality=5), frozenset({Format.JPG, Format.PNG}), "codecs"
    )
    service = ImageService(
        InfoService(ProfileRegistry(profiles)),
        pool,
        DerivativeCache(MemoryCache(1 << 20)),
        {"wide": wide, "small": small},
    )

    def request(name, size="4,", file="default.jpg"):
        parameters = parse_image_parameters("full", size, "0", file)
        return ImageRequest(Identifier(name, "a.jpg"), parameters, v3.API)

    await body(service, request("wide"))
    await body(service, request("small"))
    assert [task.argument.settings.jpeg_quality for task in pool.tasks] == [85, 5]
    assert (await service.prepare(request("small", "max"))).operation.size == (4, 4)
    assert (await service.prepare(request("wide", "max"))).operation.size == (10, 10)
    with pytest.raises(InvalidRequest, match="limits"):
        await service.prepare(request("small", "5,"))
    with pytest.raises(InvalidRequest, match="png"):
        await service.prepare(request("wide", file="default.png"))
    assert (await service.prepare(request("small", file="default.png"))).key


class CopyingTiles:
    """Has a tile, or not; notes what it is asked for."""

    def __init__(self, tile):
        self.tile = tile
        self.sources = []

    async def copy(self, key, operation, source):
        self.sources.append((key, operation, source()))
        return self.tile


PART = replace(REQUEST, parameters=parse_image_parameters("0,0,5,5", "max", "0", "default.jpg"))


async def test_the_original_is_not_lent_for_a_tile_where_a_smaller_copy_may_do(parts):
    """That would have it fetched, where it is far away."""
    profile, _, service = parts
    profile.media_type = "image/tiff"
    service._tiles = tiles = CopyingTiles(b"tile")

    assert await body(service) == b"1"
    assert (profile.hints, tiles.sources) == ([(5, 5)], [])
    assert await body(service, PART) == b"tile"


async def test_a_stored_tile_comes_before_the_disk_and_is_not_kept(parts, monkeypatch):
    """To copy it again costs less than to keep it. A worker answers what is none."""
    profile, pool, service = parts
    profile.media_type = "image/tiff"
    service._tiles = tiles = CopyingTiles(b"tile")
    assert [await body(service, PART) for _ in range(2)] == [b"tile"] * 2
    assert pool.tasks == []
    tiles.tile = None
    assert await body(service, PART) == b"1"
    tiles.tile = b"tile"
    assert await body(service, PART) == b"1"  # as it is in memory now

    key, operation, source = tiles.sources[0]
    prepared = await service.prepare(PART)
    assert (key, operation) == ((REQUEST.identifier, "1"), prepared.operation)
    assert (source.version, source.page) == ("1", 1)
    assert await source.confirm()
    profile.version = "2"
    assert not await source.confirm()
    async with source.lend() as path:
        assert path == Path("/source/a.jpg")


async def test_no_tiles_are_looked_for_where_there_are_none(parts):
    """In other formats, and where credit has to be written into each."""
    profile, _, service = parts
    service._tiles = tiles = CopyingTiles(b"tile")
    assert await body(service, PART) == b"1"
    profile.media_type, profile.version = "image/tiff", "2"
    service._rules["fake"] = replace(service._rules["fake"], settings=RenderSettings(keep_metadata=True))
    await service._infos.refresh(REQUEST.identifier)
    assert await body(service, PART) == b"2"
    assert tiles.sources == []


async def test_no_smaller_copy_is_asked_for_where_it_would_have_other_pages(parts):
    """What a profile has smaller copies of is the first page."""
    profile, _, service = parts
    request = replace(REQUEST, identifier=Identifier("fake", "a.jpg", 2))
    await body(service, request)

    assert set(profile.hints) == {None}


async def test_hint_affinity_and_lane(parts):
    profile, pool, service = parts
    await body(service)
    part = parse_image_parameters("0,0,5,5", "max", "0", "gray.jpg")
    await body(service, replace(REQUEST, parameters=part))

    assert profile.hints == [(5, 5), None]
    assert pool.tasks[0].affinity == pool.tasks[1].affinity
    assert not any(task.heavy for task in pool.tasks)


PART = replace(REQUEST, parameters=parse_image_parameters("0,0,9,9", "9,", "0", "default.jpg"))


class LargeProfile(LendingProfile):
    """One image of 250 megapixels, or a smaller copy of it; counts how often its headers are looked at."""

    known: Decoding | None = Decoding(4)
    lends = Dimensions(16_000, 15_000)
    probed = 0

    async def get_info(self, name):
        info = await super().get_info(name)
        return replace(info, width=16_000, height=15_000, media_type="image/png", decoding=self.known)

    async def probe(self, path, version, page=1):
        self.probed += 1
        return SourceProperties(*self.lends, "image/png", has_color=True, decoding=Decoding(4))


def large(tmp_path, kept_memory=0):
    profile = LargeProfile(tmp_path)
    pool = RenderingPool(profile)
    infos = InfoService(ProfileRegistry({"fake": profile}))
    rules = RenderRules(Limits(), RenderSettings(), frozenset({Format.JPG}), "codecs")
    cache = DerivativeCache(MemoryCache(1 << 20))
    return profile, pool, ImageService(infos, pool, cache, {"fake": rules}, kept_memory=kept_memory)


async def test_a_thumbnail_of_what_is_decoded_whole_is_heavy_and_tells_its_memory(tmp_path):
    profile, pool, service = large(tmp_path)
    await body(service, PART)

    assert pool.tasks[0].heavy
    assert 960_000_000 < pool.tasks[0].memory < 1_300_000_000
    assert profile.probed == 0


async def test_a_part_of_what_is_stored_in_tiles_is_light(tmp_path):
    profile, pool, service = large(tmp_path)
    profile.known = Decoding(4, parts=True)
    await body(service, PART)

    assert not pool.tasks[0].heavy
    assert pool.tasks[0].memory < 64 << 20


async def test_a_smaller_copy_is_told_by_its_own_header(tmp_path):
    profile, pool, service = large(tmp_path)
    profile.lends = Dimensions(1600, 1500)
    await body(service)

    assert profile.probed == 1
    assert not pool.tasks[0].heavy
    assert pool.tasks[0].memory < 64 << 20


async def test_a_source_that_nobody_looked_at_is_looked_at_before_it_counts_as_heavy(tmp_path):
    profile, pool, service = large(tmp_path)
    profile.known = None
    await body(service, PART)

    assert profile.probed == 1
    assert pool.tasks[0].heavy


@pytest.mark.parametrize(("kept_memory", "waits"), [(1 << 30, True), (1 << 29, False)])
async def test_tiles_wait_for_a_level_only_if_a_worker_may_keep_it(tmp_path, kept_memory, waits):
    _, pool, service = large(tmp_path, kept_memory)
    tile = parse_image_parameters("512,512,512,512", "max", "0", "gray.jpg")
    await body(service, replace(REQUEST, parameters=tile))

    assert pool.tasks[0].share == (shared_decoding(pool.tasks[0].argument.operation) if waits else None)


async def test_a_tile_that_fits_only_without_its_neighbours_is_made_without_them(tmp_path):
    """All tiles of a JPEG at once take the memory of its coefficients twice."""
    profile, pool, service = large(tmp_path)
    facts = JpegFacts(Dimensions(16, 16), gray=False, portable=True, croppable=True)
    profile.known = Decoding(4, coefficients=720_000_000, jpeg=facts)
    tiles = [f"{x},512,512,512" for x in (512, 1024)]
    for service._largest_task, region in zip((inf, 1_000_000_000), tiles, strict=True):
        parameters = parse_image_parameters(region, "max", "0", "default.jpg")
        await body(service, replace(REQUEST, parameters=parameters))

    assert [task.argument.is_alone for task in pool.tasks] == [False, True]
    assert pool.tasks[0].memory > 1_400_000_000
    assert pool.tasks[1].memory < 800_000_000


async def test_without_room_for_it_nothing_is_done_for_a_request(parts):
    """No source is lent, which may have to be fetched."""
    profile, pool, service = parts
    pool.room = 0
    with pytest.raises(ServerBusy):
        await body(service)
    assert not profile.hints
    assert not pool.tasks


async def test_what_is_cheap_is_answered_without_room(tmp_path):
    """What the disk has, and what is being made already."""
    profile = LendingProfile(tmp_path)
    pool = RenderingPool(profile)

    def service():
        cache = DerivativeCache(MemoryCache(1 << 20), DiskCache(tmp_path / "cache", 1 << 20))
        infos = InfoService(ProfileRegistry({"fake": profile}))
        rules = RenderRules(Limits(max_area=10_000), RenderSettings(), frozenset({Format.JPG}), "codecs")
        return ImageService(infos, pool, cache, {"fake": rules}), cache

    before, cache = service()
    made = asyncio.create_task(body(before))
    while not pool.tasks:
        await asyncio.sleep(0)
    pool.room = 0
    assert await body(before) == await made == b"1"
    await cache.close()

    after, cache = service()
    assert await body(after) == b"1"
    assert await after.refusals([REQUEST], 0) == [None]
    other = replace(REQUEST, parameters=parse_image_parameters("full", "3,", "0", "default.jpg"))
    with pytest.raises(ServerBusy):
        await body(after, other)
    refused = await after.refusals([other, REQUEST, other], 0)
    assert [isinstance(error, ServerBusy) for error in refused] == [True, False, True]
    assert len(pool.tasks) == 1
    pool.room = 2
    assert await after.refusals([other], 1) == [None]
    refused = await after.refusals([other, REQUEST, other], 1)  # so many are on their way
    assert [isinstance(error, ServerBusy) for error in refused] == [False, False, True]
    await cache.close()


async def test_those_who_come_at_once_are_counted(parts):
    """They are refused before anything is done for them, and not only when they come to the pool."""
    profile, pool, service = parts
    pool.room = 3
    wanted = [parse_image_parameters("full", f"{width},", "0", "default.jpg") for width in range(1, 10)]
    answers = await asyncio.gather(
        *(body(service, replace(REQUEST, parameters=each)) for each in wanted), return_exceptions=True
    )
    assert [isinstance(answer, ServerBusy) for answer in answers] == [False] * 3 + [True] * 6
    assert len(profile.hints) == len(pool.tasks) == 3
    assert not service.room.is_full()


async def test_one_who_leaves_gives_up_the_place(parts):
    _, pool, service = parts
    pool.room = 1
    leaving = asyncio.create_task(body(service))
    for _ in range(3):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait((leaving,))
    assert not service.room.is_full()
    assert await body(service) == b"1"

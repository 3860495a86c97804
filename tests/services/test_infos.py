"""What is remembered of images, for how long, and how often anyone is asked."""

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from iiif_server.api import ImageInfo, ImageNotFound, Profile, ProfileContext, ProfileOptions
from iiif_server.errors import ConfigurationError, ProfileNotFound
from iiif_server.execution.messages import Outcome
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.tasks import SourceProperties
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.infos import InfoService, Prober

IMAGE = Identifier("fake", "a.jpg")


class FakeProfile(Profile[ProfileOptions]):
    """Knows one image, and counts how often it is asked."""

    def __init__(self, tmp_path, **options):
        context = ProfileContext("fake", tmp_path, tmp_path, self.probe, logging.getLogger("fake"))
        super().__init__(context, ProfileOptions(rights="x", **options))
        self.asked = self.lent = 0
        self.version = "1"
        self.opened = self.closed = False

    async def probe(self, path, version, page=1):
        if page > 2:
            raise ImageNotFound("no page")
        return SourceProperties(3 * page, 4, f"{path.name} {version}", has_color=False, resolution=9.0)

    async def get_info(self, name):
        self.asked += 1
        await asyncio.sleep(0.01)
        if name != "a.jpg":
            raise ImageNotFound("no")
        return ImageInfo(name, 10, 10, self.version)

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        self.lent += 1
        try:
            yield Path("/lent") / info.name
        finally:
            self.lent -= 1

    async def resolve_original_size(self, name):
        raise AssertionError

    def stream_original(self, name, chunk_size):
        raise AssertionError

    async def open(self):
        self.opened = True

    async def close(self):
        self.closed = True


def service(*profiles):
    return InfoService(ProfileRegistry({profile.context.name: profile for profile in profiles}))


async def test_a_profile_is_asked_once_per_interval(tmp_path):
    profile = FakeProfile(tmp_path, source_check_interval=1)
    infos = service(profile)
    for _ in range(5):
        await infos.get(IMAGE)
    assert profile.asked == 1
    profile.version = "2"
    await asyncio.sleep(1.02)

    assert (await infos.get(IMAGE))[1].version == "2"
    assert profile.asked == 2


async def test_what_has_not_changed_stays_the_same_object(tmp_path):
    """Requests that were resolved against it then need not be resolved again."""
    profile = FakeProfile(tmp_path)
    infos = service(profile)
    first = await infos.refresh(IMAGE)
    assert await infos.refresh(IMAGE) is first
    profile.version = "2"
    assert (await infos.refresh(IMAGE)).version == "2"


async def test_two_hundred_ask_once(tmp_path):
    profile = FakeProfile(tmp_path)
    infos = service(profile)

    answers = await asyncio.gather(*(infos.get(IMAGE) for _ in range(200)))

    assert profile.asked == 1
    assert len({info for _, info in answers}) == 1


async def test_failures_are_not_remembered(tmp_path):
    profile = FakeProfile(tmp_path)
    infos = service(profile)
    for _ in range(2):
        with pytest.raises(ImageNotFound):
            await infos.get(Identifier("fake", "b.jpg"))

    assert profile.asked == 2
    with pytest.raises(ProfileNotFound):
        await infos.get(Identifier("other", "a.jpg"))


async def test_a_deleted_image_is_forgotten(tmp_path, monkeypatch):
    profile = FakeProfile(tmp_path, source_check_interval=10)
    infos = service(profile)
    await infos.get(IMAGE)

    async def gone(_):
        raise ImageNotFound("gone")

    monkeypatch.setattr(profile, "get_info", gone)
    with pytest.raises(ImageNotFound):
        await infos.refresh(IMAGE)
    with pytest.raises(ImageNotFound):
        await infos.get(IMAGE)


async def test_no_memory_at_all(tmp_path):
    profile = FakeProfile(tmp_path, info_json_cache_size=0)
    infos = service(profile)
    await infos.get(IMAGE)
    await infos.get(IMAGE)

    assert profile.asked == 2


async def test_a_page_has_a_size_of_its_own(tmp_path):
    """Read from the source, whatever the profile; the first page is the profile's business alone."""
    profile = FakeProfile(tmp_path)
    infos = service(profile)
    _, second = await infos.get(IMAGE._replace(page=2))

    assert (second.size, second.has_color, second.version) == ((6, 4), False, "1")
    assert second.resolution == 9.0
    assert (await infos.get(IMAGE))[1].size == (10, 10)
    with pytest.raises(ImageNotFound):
        await infos.get(IMAGE._replace(page=3))
    assert profile.lent == 0


class FakePool:
    def __init__(self):
        self.tasks = []

    room = 1

    def check_room(self, coming=0):
        pass

    async def run(self, task):
        self.tasks.append(task)
        await asyncio.sleep(0.01)
        return Outcome(SourceProperties(4, 3, "image/png", has_color=True).to_json(), b"")


@pytest.mark.parametrize(("capacity", "asked"), [(0, 3), (1, 3), (2, 2)])
async def test_headers_are_looked_at_once_per_version(tmp_path, capacity, asked):
    pool = FakePool()
    prober = Prober(pool, capacity)
    path = tmp_path / "a"
    await asyncio.gather(*(prober(path, "1") for _ in range(50)))
    await prober(path, "2")
    properties = await prober(path, "1")
    assert {task.argument.page for task in pool.tasks} == {1}

    assert len(pool.tasks) == asked
    assert properties.size == (4, 3)


async def test_closing_closes_all(tmp_path, caplog, monkeypatch):
    second, first = FakeProfile(tmp_path), FakeProfile(tmp_path)

    async def fail():
        raise OSError("no")

    monkeypatch.setattr(first, "close", fail)
    async with ProfileRegistry({"second": second, "first": first}).running():
        assert not second.closed

    assert second.closed
    assert "closing the profile" in caplog.text


async def test_one_that_cannot_start_ends_the_start(tmp_path, monkeypatch):
    first, second, third = (FakeProfile(tmp_path) for _ in range(3))

    async def fail():
        raise OSError("no such catalogue")

    monkeypatch.setattr(second, "open", fail)
    registry = ProfileRegistry({"first": first, "second": second, "third": third})
    with pytest.raises(ConfigurationError, match=r"the profile can't start: OSError.*no such catalogue"):
        async with registry.running():
            pytest.fail("it started")

    assert (first.opened, first.closed) == (True, True)
    assert (second.closed, third.opened, third.closed) == (False, False, False)

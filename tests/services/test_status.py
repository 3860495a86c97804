"""The status: every profile has its say, and none spoils the rest."""

import asyncio
import json
import logging

import pytest

from iiif_server import __version__
from iiif_server.api import Profile, ProfileContext, ProfileOptions
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.infos import InfoService
from iiif_server.services.monitor import Monitor
from iiif_server.services.status import StatusService
from tests.services.test_infos import FakeProfile


class Telling(FakeProfile):
    """Tells what it was given: a status, an error to raise, or a function to wait for."""

    def __init__(self, directory, name, answer):
        context = ProfileContext(name, directory, directory / "cache", self.probe, logging.getLogger(name))
        Profile.__init__(self, context, ProfileOptions(rights="x"))
        self.answer = answer
        self.asked_for_status = 0

    async def get_status(self):
        self.asked_for_status += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        if callable(self.answer):
            return await self.answer()
        return self.answer


@pytest.fixture
def make(tmp_path):
    def make(seconds=5.0, **answers):
        profiles = {}
        for name, answer in answers.items():
            profiles[name] = Telling(tmp_path / name, name, answer)
        registry = ProfileRegistry(profiles, next(iter(profiles)))
        monitor = Monitor(
            {"pool": lambda: {"busy": 1}}, lambda: {"memory": {"hits": 2}, "store": {}, "pending": {}}
        )
        service = StatusService(
            registry, dict.fromkeys(profiles, "fake"), InfoService(registry), monitor, seconds=seconds
        )
        return service, profiles

    return make


async def test_everything_is_told(make):
    service, _ = make(plants={"mood": "fine"})
    status = await service.status()

    assert 0 <= status.pop("uptime") < 60
    assert status == {
        "status": ":)",
        "version": __version__,
        "default_profile": "plants",
        "processing": {"busy": 1},
        "caches": {"memory": {"hits": 2}, "disk": {}, "pending": {}},
        "profiles": {"plants": {"mood": "fine", "name": "plants", "type": "fake", "info_json_cache_size": 0}},
    }
    assert json.loads(json.dumps(status)) == status


async def test_what_a_profile_says_takes_nobodys_place(make):
    service, _ = make(plants={"name": "forged", "type": "forged", "mood": "fine"})
    said = (await service.status())["profiles"]["plants"]

    assert (said["name"], said["type"], said["mood"]) == ("plants", "fake", "fine")


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("secret"),
        asyncio.CancelledError(),
        {"a": object()},
        {"a": float("nan")},
        ["no", "mapping"],
        None,
    ],
)
async def test_a_profile_that_fails_spoils_nothing_and_tells_nothing(make, answer, caplog):
    service, _ = make(bad=answer, good={"mood": "fine"})
    profiles = (await service.status())["profiles"]

    assert profiles["good"]["mood"] == "fine"
    assert set(profiles["bad"]) == {"error", "name", "type", "info_json_cache_size"}
    assert "secret" not in json.dumps(profiles)
    if isinstance(answer, RuntimeError):
        assert "secret" in caplog.text


async def test_a_slow_profile_is_given_up(make):
    service, _ = make(0.05, slow=lambda: asyncio.sleep(60), good={"mood": "fine"})
    profiles = (await service.status())["profiles"]

    assert profiles["slow"]["error"] == "The profile did not tell its status within 0.05 seconds."
    assert profiles["good"]["mood"] == "fine"


async def test_a_profile_that_does_not_let_itself_be_cancelled_holds_up_nobody(make):
    gone_on = asyncio.Event()

    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await gone_on.wait()
        raise RuntimeError("nobody hears this")

    service, _ = make(0.05, slow=stubborn)
    async with asyncio.timeout(10):
        assert "error" in (await service.status())["profiles"]["slow"]
    gone_on.set()


async def test_many_who_ask_at_once_ask_each_profile_once(make):
    service, profiles = make(plants=lambda: asyncio.sleep(0.05, {"mood": "fine"}))
    answers = await asyncio.gather(*(service.status() for _ in range(20)))

    assert {answer["profiles"]["plants"]["mood"] for answer in answers} == {"fine"}
    assert profiles["plants"].asked_for_status == 1


async def test_full_counts_the_files_of_each_profile(make):
    service, profiles = make(plants={}, animals={})
    source = profiles["plants"].source_directory
    await asyncio.to_thread(source.mkdir, parents=True)
    await asyncio.to_thread((source / "a.jpg").write_bytes, bytes(2048))
    told = (await service.status(full=True))["profiles"]
    await service.close()

    assert told["plants"]["sources"] == {
        "count": 1,
        "size_bytes": 2048,
        "size_pretty": "2.0 KiB",
        "complete": True,
    }
    assert told["animals"]["sources"]["count"] == told["plants"]["cache"]["count"] == 0
    assert str(source) not in json.dumps(told)


async def test_files_are_counted_once_at_a_time_and_no_longer_than_the_server_lives(make, monkeypatch):
    """A disk that does not end: whoever asks meanwhile waits for the same walk, though the first one left."""
    walks = []

    def endless(directories, seconds, *, is_unwanted):
        walks.append(1)
        while not is_unwanted():
            pass
        return {}

    monkeypatch.setattr("iiif_server.services.status.measure", endless)
    service, _ = make(plants={})
    first, second = (asyncio.create_task(service.status(full=True)) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.sleep(0.05)
    await service.close()

    assert (await second)["profiles"]["plants"]["sources"] == {"error": "The disk does not answer."}
    assert len(walks) == 1

"""Stored files: the one that was found is the one that is opened, and nothing of it stays open."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from iiif_server.caches.derivative import FileSlice
from iiif_server.errors import (
    ImageNotFound,
    ProfileNotFound,
    ServerBusy,
    SourceChanging,
    SourceTooLarge,
    UnreadableSource,
    UpstreamFailed,
)
from iiif_server.iiif.uri import Identifier
from iiif_server.profiles.base import ImageInfo
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.infos import InfoService
from iiif_server.services.originals import OriginalService
from iiif_server.services.stored import Streamed, open_stored, pieces_of
from tests.services.test_infos import FakeProfile

IMAGE = Identifier("fake", "a.jpg")
JPEG = b"\xff\xd8\xff" + bytes(range(200))


class StreamingProfile(FakeProfile):
    """Streams an original of this version; can be told to change meanwhile, and not to be readable."""

    error = None
    content = JPEG
    promised = len(JPEG)

    def __init__(self, path):
        super().__init__(path, source_check_interval=10)
        self.changes = []
        self.streams = 0

    async def get_info(self, name):
        if self.error is not None:
            raise self.error
        info = await super().get_info(name)
        if self.changes:
            self.version = self.changes.pop(0)
        return info

    async def resolve_original_size(self, name):
        return self.promised

    async def stream_original(self, name, chunk_size):
        self.streams += 1
        try:
            for start in range(0, len(self.content), chunk_size):
                yield self.content[start : start + chunk_size]
        finally:
            self.streams -= 1


class LendingProfile(StreamingProfile):
    def __init__(self, path):
        super().__init__(path)
        self.path = path / "original"
        self.path.write_bytes(JPEG)
        self.lent_originals = 0

    @asynccontextmanager
    async def use_original(self, name):
        self.lent_originals += 1
        yield self.path
        self.lent_originals -= 1


@pytest.fixture(params=[StreamingProfile, LendingProfile])
def profile(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture
def lending(tmp_path):
    return LendingProfile(tmp_path)


def service(profile):
    registry = ProfileRegistry({"fake": profile})
    return OriginalService(InfoService(registry), registry, 16)


async def content(originals, original):
    async with originals.open(original) as (opened, body):
        pieces = [piece async for piece in pieces_of(body)]
        assert body.length == len(b"".join(pieces))
        return opened, b"".join(pieces)


async def test_what_is_found_is_what_is_opened(profile):
    originals = service(profile)
    original = await originals.find(IMAGE)
    opened, found = await content(originals, original)

    assert found == JPEG
    assert opened == original
    assert original.version == "1"
    assert original.is_lent == isinstance(profile, LendingProfile)
    assert profile.streams == 0


async def test_a_file_that_changed_meanwhile_is_opened_again(profile):
    originals = service(profile)
    original = await originals.find(IMAGE)
    profile.version = "2"
    opened, _ = await content(originals, original)

    assert opened.version == "2"
    assert opened.key != original.key
    assert (await originals.find(IMAGE)).version == "2"
    assert profile.streams == 0


async def test_a_file_that_keeps_changing_is_refused(profile):
    originals = service(profile)
    original = await originals.find(IMAGE)
    profile.version = "2"
    profile.changes = ["3", "4", "5"]
    with pytest.raises(SourceChanging) as caught:
        await content(originals, original)

    assert caught.value.retry_after
    assert profile.streams == 0


async def test_what_is_lent_is_given_back_before_it_is_sent(lending):
    """However long the client takes; the open file stays what it was."""
    originals = service(lending)
    async with originals.open(await originals.find(IMAGE)) as (_, body):
        assert lending.lent_originals == 0
        await asyncio.to_thread(lending.path.unlink)
        assert [piece async for piece in pieces_of(body)] == [JPEG]
        assert isinstance(body, FileSlice)
    assert body.file.closed


@pytest.mark.parametrize("error", [UnreadableSource("No codec."), SourceTooLarge("Too many pixels.")])
async def test_what_can_not_be_shown_can_be_had(profile, error):
    """If it begins like an image; then its tag comes from the file, where there is one."""
    profile.error = error
    originals = service(profile)
    original = await originals.find(IMAGE)
    opened, found = await content(originals, original)

    assert found == JPEG
    assert opened.media_type == "image/jpeg"
    assert (opened.key is not None) == isinstance(profile, LendingProfile)


async def test_what_is_no_image_is_not_published(profile):
    profile.error = UnreadableSource("It is no image.")
    profile.content = b"password: secret"
    profile.promised = len(profile.content)
    if isinstance(profile, LendingProfile):
        await asyncio.to_thread(profile.path.write_bytes, profile.content)
    with pytest.raises(UnreadableSource, match="It is no image"):
        await service(profile).find(IMAGE)

    assert profile.streams == 0


async def test_a_file_that_can_not_be_shown_and_changes(lending):
    lending.error = UnreadableSource("No codec.")
    originals = service(lending)
    original = await originals.find(IMAGE)
    await asyncio.to_thread(lending.path.write_bytes, JPEG + b"more")
    opened, found = await content(originals, original)

    assert found == JPEG + b"more"
    assert opened.key != original.key


async def test_nothing_of_that_name(profile):
    originals = service(profile)
    for error, identifier in (
        (ImageNotFound, Identifier("fake", "b.jpg")),
        (ProfileNotFound, Identifier("x", "a")),
    ):
        with pytest.raises(error):
            await originals.find(identifier)


@pytest.mark.parametrize(("promised", "whole"), [(len(JPEG) - 1, 0), (len(JPEG) + 1, 0), (len(JPEG), 1)])
@pytest.mark.parametrize("chunk_size", [1, 16, 1000])
async def test_who_gets_all_bytes_that_were_promised_has_the_file(tmp_path, promised, whole, chunk_size):
    """A stream of another length fails before its last promised byte."""
    profile = StreamingProfile(tmp_path)
    profile.promised = promised
    registry = ProfileRegistry({"fake": profile})
    originals = OriginalService(InfoService(registry), registry, chunk_size)
    got, error = b"", None
    async with originals.open(await originals.find(IMAGE)) as (_, body):
        try:
            async for piece in pieces_of(body):
                assert piece
                got += piece
        except UpstreamFailed as caught:
            error = caught

    assert (len(got) == promised) == bool(whole)
    assert (error is None) == bool(whole)
    assert JPEG.startswith(got)
    assert profile.streams == 0


async def test_an_empty_stream(tmp_path):
    empty = Streamed(b"", StreamingProfile(tmp_path).stream_original("", 1000), len(JPEG))
    none = Streamed(b"", _nothing(), 0)

    assert b"".join([piece async for piece in empty.pieces()]) == JPEG
    assert [piece async for piece in none.pieces()] == []


async def _nothing():
    if False:
        yield b""


async def test_only_regular_files_are_opened(tmp_path):
    def make():
        (tmp_path / "link").symlink_to(tmp_path / "file")
        (tmp_path / "file").write_bytes(b"x")
        os.mkfifo(tmp_path / "pipe")

    await asyncio.to_thread(make)
    for name in ("link", "pipe", "absent", "."):
        with pytest.raises(ImageNotFound) as caught:
            await open_stored(tmp_path / name)
        assert str(tmp_path) not in caught.value.public
    with (await open_stored(tmp_path / "file")).file as file:
        assert file.readable()


async def test_too_many_open_files_are_no_missing_image(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("iiif_server.services.stored.os.open", fail)
    with pytest.raises(ServerBusy):
        await open_stored(tmp_path)


async def test_a_file_that_is_opened_too_late_is_closed(tmp_path, monkeypatch):
    """Who waits for a slow disk may leave; the file that comes then is nobody's."""
    path = tmp_path / "file"
    await asyncio.to_thread(path.write_bytes, b"x")
    opened, proceed, really = [], asyncio.Event(), os.open
    loop = asyncio.get_running_loop()

    def slow(*arguments):
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result()
        opened.append(really(*arguments))
        return opened[0]

    monkeypatch.setattr("iiif_server.services.stored.os.open", slow)
    task = asyncio.create_task(open_stored(path))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    proceed.set()
    for _ in range(200):
        await asyncio.sleep(0.01)
        if opened and not os.path.exists(f"/proc/self/fd/{opened[0]}"):
            return
    pytest.fail("the file is still open")


async def test_info_is_asked_again_only_when_it_is_opened(profile):
    """A conditional request costs what the info costs."""
    originals = service(profile)
    for _ in range(3):
        await originals.find(IMAGE)
    assert profile.asked == 1
    await content(originals, await originals.find(IMAGE))
    assert profile.asked == 2
    assert ImageInfo("a", 1, 1, "v").media_type is None

"""Archives of originals that change, vanish or shrink while they are packed."""

import asyncio
import io
import os
import zipfile
from contextlib import aclosing

import pytest

from iiif_server.errors import ImageNotFound, InvalidRequest, ServerBusy, SourceChanging
from iiif_server.iiif.uri import Identifier
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.downloads import DownloadLimits, DownloadService
from iiif_server.services.infos import InfoService
from iiif_server.services.originals import OriginalService
from iiif_server.services.zips import ZipEntry, zip_length
from tests.services.test_originals import IMAGE, JPEG, LendingProfile

LARGE = JPEG + bytes(1 << 20)


@pytest.fixture
def profile(tmp_path):
    return LendingProfile(tmp_path)


def service(profile, **limits):
    registry = ProfileRegistry({"fake": profile})
    originals = OriginalService(InfoService(registry), registry, 16)
    return DownloadService(
        originals, DownloadLimits(**{"max_files": 2, "max_size": 0, "max_downloads": 2} | limits)
    )


async def packed(downloads, *, stop_on_error, then=lambda: None):
    """An archive of one original twice; after its first piece, something happens."""
    (member,) = await downloads.members([IMAGE], stop_on_error=stop_on_error)
    pairs = [(member, ZipEntry(name, member.length)) for name in ("a", "b")]
    made = b""
    async with aclosing(downloads.stream(pairs, stop_on_error=stop_on_error)) as pieces:
        async for piece in pieces:
            if not made:
                await asyncio.to_thread(then)
            made += piece
    return made, zip_length(entry for _, entry in pairs)


async def test_files_that_stay_as_they_are(profile):
    made, length = await packed(service(profile), stop_on_error=True)

    assert len(made) == length
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.read("a") == archive.read("b") == JPEG


async def test_a_file_that_shrinks_while_it_is_read(profile):
    profile.promised = len(LARGE)
    await asyncio.to_thread(profile.path.write_bytes, LARGE)

    def shrink():
        os.truncate(profile.path, 300_000)

    made, length = await packed(service(profile), stop_on_error=False, then=shrink)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a"]  # the other one had another length from the start
        assert LARGE.startswith(archive.read("a"))
    assert len(made) < length

    await asyncio.to_thread(profile.path.write_bytes, LARGE)
    with pytest.raises(SourceChanging):
        await packed(service(profile), stop_on_error=True, then=shrink)


async def test_a_file_that_vanishes(profile):
    made, _ = await packed(service(profile), stop_on_error=False, then=profile.path.unlink)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["a"]
        assert archive.read("a") == JPEG

    with pytest.raises(ImageNotFound):
        await packed(service(profile), stop_on_error=True)


async def test_whoever_stops_taking_it_leaves_nothing_open(profile):
    profile.promised = len(LARGE)
    await asyncio.to_thread(profile.path.write_bytes, LARGE)
    downloads = service(profile)
    (member,) = await downloads.members([IMAGE], stop_on_error=True)
    async with aclosing(
        downloads.stream([(member, ZipEntry("a", len(LARGE)))], stop_on_error=True)
    ) as pieces:
        assert len(await anext(pieces)) > 1000


async def test_places_are_given_back(profile):
    downloads = service(profile)

    def take(depth):
        with downloads.slot():
            if depth > 1:
                take(depth - 1)

    for _ in range(2):
        take(2)
        with pytest.raises(ServerBusy) as caught:
            take(3)
        assert caught.value.retry_after


@pytest.mark.parametrize(("max_size", "fits"), [(0, True), (len(JPEG), True), (len(JPEG) - 1, False)])
async def test_the_size_is_limited_before_anything_is_sent(profile, max_size, fits):
    downloads = service(profile, max_size=max_size)
    if fits:
        assert len(await downloads.members([IMAGE], stop_on_error=True)) == 1
    else:
        with pytest.raises(InvalidRequest):
            await downloads.members([IMAGE], stop_on_error=True)


async def test_each_original_counts_once(profile):
    downloads = service(profile, max_files=1)
    pages = [IMAGE, IMAGE._replace(page=2), IMAGE]

    assert len(await downloads.members(pages, stop_on_error=True)) == 1
    with pytest.raises(InvalidRequest, match="max: 1"):
        await downloads.members([*pages, Identifier("fake", "b.jpg")], stop_on_error=True)

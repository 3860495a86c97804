"""Every option of the document that this server was ordered by does what is said of it there.

Each test fails when its option is ignored: it compares two servers, or a server with a number that is no
default.
"""

import io
import json
import logging
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from iiif_server.api import ProfileType
from iiif_server.testing import draw_image
from tests.support.server import workers
from tests.testing.recording import CALLS, RecordingProfile
from tests.testing.sound import SoundOptions, SoundProfile

OPTIONS = {
    *("base_url", "cache_path", "source_path", "min_sizes_size", "image_pool_size"),
    *("image_cache_size_per_process", "thumbnail_width", "preview_width", "download_chunk_size"),
    *("download_max_files", "default_profile", "profiles"),
    *("rights", "info_json_cache_size", "log_level", "cache_for"),
}
"""Of the document's two tables."""

PICTURE = draw_image("a.tif")
TILE = "0,0,16,16/16,16/0/default.jpg"


class PieceProfile(SoundProfile):
    """Notes how large the pieces of an original are asked for, and lends none as a file."""

    asked: ClassVar[list[int]] = []
    use_original = None  # type: ignore[assignment]

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        self.asked.append(chunk_size)
        async for piece in super().stream_original(name, chunk_size):
            yield piece


class TalkingProfile(SoundProfile):
    """Says something at each look-up."""

    async def get_info(self, name):
        self.context.logger.info("looking %s up", name)
        return await super().get_info(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.tif", "b.tif", "c.tif", "d.tif"):
        (folder / name).write_bytes(PICTURE.original)
    return folder


@pytest.fixture
def disk(iiif_profile, folder):
    return iiif_profile("disk", path=str(folder))


def made(iiif_profile, profile, folder):
    """A profile of a class."""
    return iiif_profile(ProfileType("disk", SoundOptions, profile), folder=folder)


def size_of(answer) -> tuple[int, int]:
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(answer.body)).size


def files_below(path: Path) -> int:
    return sum(found.is_file() for found in path.rglob("*"))


async def test_base_url(iiif_app, disk):
    async with iiif_app(disk, base_url="https://images.example.org/iiif") as app:
        document = (await app.get("/disk:a.tif/info.json")).json()

    assert document["id"] == "https://images.example.org/iiif/disk:a.tif"


async def test_cache_path(iiif_app, disk, tmp_path):
    async with iiif_app(disk, cache_path=str(tmp_path / "elsewhere")) as app:
        assert (await app.get(f"/disk:a.tif/{TILE}")).status == 200

    assert files_below(tmp_path / "elsewhere" / "derivatives") > 0
    assert not (tmp_path / "cache" / "derivatives").exists()


@pytest.fixture
def plain(iiif_profile):
    return iiif_profile("disk")


async def test_source_path(iiif_app, plain, tmp_path):
    """The images of a disk profile are in the directory of its name, below."""
    (tmp_path / "there" / "disk").mkdir(parents=True)
    (tmp_path / "there" / "disk" / "banana").write_bytes(PICTURE.original)
    async with iiif_app(plain, source_path=str(tmp_path / "there")) as app:
        assert (await app.get("/disk:banana/info.json")).status == 200
        assert (await app.get("/disk:banan/info.json")).status == 404


@pytest.mark.parametrize(("least", "shortest"), [(100, 113), (300, 451)])
async def test_min_sizes_size(iiif_app, disk, least, shortest):
    """The picture has 1201 x 901 pixels; its halves 601 x 451, 301 x 226, 151 x 113."""
    async with iiif_app(disk, min_sizes_size=least) as app:
        sizes = (await app.get("/disk:a.tif/info.json")).json()["sizes"]

    assert min(size["height"] for size in sizes) == shortest


@pytest.mark.parametrize("count", [1, 3])
async def test_image_pool_size(iiif_app, disk, count):
    before = len(workers())
    async with iiif_app(disk, image_pool_size=count) as app:
        assert (await app.get("/disk:a.tif/info.json")).status == 200
        assert len(workers()) - before == count


@pytest.mark.parametrize("count", [1, 3])
async def test_image_cache_size_per_process(iiif_app, disk, folder, count):
    """So many sources stay open in a worker for the next request."""
    before = workers()
    async with iiif_app(disk, image_pool_size=1, image_cache_size_per_process=count) as app:
        for name in ("a.tif", "b.tif", "c.tif", "d.tif"):
            assert (await app.get(f"/disk:{name}/{TILE}")).status == 200
        (worker,) = workers() - before
        opened = {file.path for file in worker.open_files() if file.path.startswith(os.fspath(folder))}

    assert len(opened) == count


@pytest.mark.parametrize(
    ("address", "option"), [("thumbnail", "thumbnail_width"), ("preview", "preview_width")]
)
async def test_widths(iiif_app, disk, address, option):
    for width in (160, 48):
        async with iiif_app(disk, **{option: width}) as app:
            assert size_of(await app.get(f"/disk:a.tif/{address}"))[0] == width
    async with iiif_app(disk, **{option: 5000}) as app:
        assert size_of(await app.get(f"/disk:a.tif/{address}")) == PICTURE.picture.size


@pytest.mark.parametrize("size", [777, 5000])
async def test_download_chunk_size(iiif_app, iiif_profile, folder, size):
    PieceProfile.asked.clear()
    async with iiif_app(made(iiif_profile, PieceProfile, folder), download_chunk_size=size) as app:
        assert (await app.get("/disk:a.tif/original")).body == PICTURE.original

    assert PieceProfile.asked == [size]


@pytest.mark.parametrize(("most", "status"), [(2, 400), (3, 200)])
async def test_download_max_files(iiif_app, disk, most, status):
    async with iiif_app(disk, download_max_files=most) as app:
        answer = await app.get("/originals?identifiers=disk:a.tif,disk:b.tif,disk:c.tif")

    assert answer.status == status
    if status == 200:
        assert len(zipfile.ZipFile(io.BytesIO(answer.body)).namelist()) == most
    else:
        assert f"(max: {most})" in answer.body.decode()


async def test_default_profile(iiif_app, disk):
    async with iiif_app(disk, default_profile="disk") as app:
        assert (await app.get("/a.tif/info.json")).json()["id"].endswith("/disk:a.tif")
    async with iiif_app(disk) as app:
        assert (await app.get("/a.tif/info.json")).status == 404


async def test_profiles(iiif_app, disk):
    """There are those that are configured, and no others."""
    async with iiif_app(disk) as app:
        assert (await app.get("/disk:a.tif/info.json")).status == 200
        assert (await app.get("/mss:a.tif/info.json")).status == 404


async def test_rights(iiif_app, disk):
    rights = "http://rightsstatements.org/vocab/InC/1.0/"
    async with iiif_app(disk.with_options(rights=rights)) as app:
        assert (await app.get("/disk:a.tif/info.json")).json()["rights"] == rights


@pytest.mark.parametrize(("size", "asked"), [(0, 4), (1, 4), (2, 2)])
async def test_info_json_cache_size(iiif_app, iiif_profile, folder, size, asked):
    """Two images, asked for in turn."""
    profile = made(iiif_profile, RecordingProfile, folder).with_options(
        info_json_cache_size=size, source_check_interval=10
    )
    async with iiif_app(profile) as app:
        CALLS.clear()
        for name in ("a.tif", "b.tif", "a.tif", "b.tif"):
            assert (await app.get(f"/disk:{name}/info.json")).status == 200

    assert CALLS.count("get_info") == asked


@pytest.mark.parametrize(("level", "is_heard"), [(None, False), ("INFO", True), ("ERROR", False)])
async def test_log_level(iiif_app, iiif_profile, folder, caplog, level, is_heard):
    """By default, warnings are."""
    options = {} if level is None else {"log_level": level}
    profile = made(iiif_profile, TalkingProfile, folder).with_options(**options)
    async with iiif_app(profile) as app:
        await app.get("/disk:a.tif/info.json")
    heard = [record for record in caplog.records if record.getMessage() == "looking a.tif up"]

    assert bool(heard) == is_heard
    assert all(record.levelno == logging.INFO for record in heard)


@pytest.mark.parametrize("seconds", [0, 1234])
async def test_cache_for(iiif_app, disk, seconds):
    async with iiif_app(disk.with_options(cache_for=seconds)) as app:
        for address in ("info.json", TILE, "thumbnail", "original"):
            control = (await app.get(f"/disk:a.tif/{address}")).headers["Cache-Control"]
            assert f"max-age={seconds}" in control, address


def test_every_option_has_its_test():
    """Those of the two widths share one."""
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert tested >= OPTIONS - {"thumbnail_width", "preview_width"}
    assert json.dumps(sorted(OPTIONS))

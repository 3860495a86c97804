"""The example of a profile that fetches: it does what its page says, and the page shows it as it is."""

import io
import logging
import re
import zlib
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import web
from PIL import Image
from pydantic import ValidationError

from iiif_server.api import ImageNotFound, ProfileContext, SourceProperties
from iiif_server.app import build_app
from iiif_server.plugins import Plugins
from iiif_server.testing import ProfileContract, draw_image
from iiif_server.workshop import read_config
from tests.support.examples import example_source, imported_example
from tests.support.paths import REPOSITORY
from tests.support.pictures import drawn_picture

SOURCE = example_source("archive")
PAGE = REPOSITORY / "docs" / "how-to" / "fetch-and-lease-sources.md"


CONFIG = """\
cache_path: cache
max_source_bytes: 400 kB
image_pool_size: 1
profiles:
  scans:
    type: archive
    rights: http://example.org/r
    base_url: {url}
"""


@pytest.fixture(scope="module")
def example():
    with imported_example("archive") as module:
        yield module


@pytest.fixture
async def archive(aiohttp_server):
    """A web server with images, which counts its answers and can be told to misbehave."""
    state = SimpleNamespace(files={"a b/ü.jpg": b"picture"}, answers=Counter(), mood=None, url="")

    async def handle(request):
        body = state.files.get(request.match_info["name"])
        if state.mood == "down":
            answer = web.Response(status=500, text="Traceback: secrets")
        elif body is None:
            answer = web.Response(status=404)
        elif state.mood == "page":
            answer = web.Response(text="<h1>Under maintenance</h1>", content_type="text/html")
        elif state.mood == "short":
            answer = web.Response(body=body, content_type="image/jpeg", headers={"Content-Length": "99"})
        elif request.headers.get("If-None-Match") == (tag := f'"{zlib.crc32(body)}"'):
            answer = web.Response(status=304)
        else:
            answer = web.Response(body=body, content_type="image/jpeg", headers={"ETag": tag})
        state.answers[answer.status] += 1
        return answer

    app = web.Application()
    app.router.add_get("/images/{name:.*}", handle)
    server = await aiohttp_server(app)
    state.url = str(server.make_url("/images"))
    return state


@pytest.fixture
async def profile(example, archive, tmp_path):
    async def probe(path, version, page=1):
        return SourceProperties(300, 200, "image/jpeg", has_color=True)

    context = ProfileContext("scans", tmp_path / "s", tmp_path / "c", probe, logging.getLogger("test"))
    options = example.ArchiveOptions(rights="http://example.org/r", base_url=archive.url, check_after=0.0)
    profile = example.ArchiveProfile(context, options)
    await profile.open()
    yield profile
    await profile.close()


async def test_an_image_is_fetched_once_and_then_confirmed(profile, archive):
    first = await profile.get_info("a b/ü.jpg")
    async with profile.use_source(first) as path:
        assert path.read_bytes() == b"picture"
    assert await profile.resolve_original_size("a b/ü.jpg") == 7
    assert b"".join([chunk async for chunk in profile.stream_original("a b/ü.jpg", 3)]) == b"picture"

    assert archive.answers == {200: 1, 304: 2}
    assert (await profile.get_status())["sources"]["entries"] == 1


async def test_a_changed_image_has_a_new_version(profile, archive):
    first = await profile.get_info("a b/ü.jpg")
    archive.files["a b/ü.jpg"] = b"another picture"

    assert (await profile.get_info("a b/ü.jpg")).version != first.version


@pytest.mark.parametrize("name", ["missing.jpg", "../a", "a/../../a", "", "/etc/passwd", "."])
async def test_what_is_not_there_is_not_found(profile, archive, name):
    with pytest.raises(ImageNotFound):
        await profile.get_info(name)

    assert set(archive.answers) <= {404}


@pytest.mark.parametrize("mood", ["down", "page", "short"])
async def test_an_archive_that_fails_is_no_image(profile, archive, example, mood):
    archive.mood = mood
    with pytest.raises(example.ArchiveFailed) as raised:
        await profile.get_info("a b/ü.jpg")

    assert raised.value.status == 502
    assert archive.url not in raised.value.public
    assert archive.url in raised.value.log
    assert (await profile.get_status())["sources"]["entries"] == 0


async def test_while_the_archive_fails_images_are_served_as_they_were(profile, archive):
    first = await profile.get_info("a b/ü.jpg")
    archive.mood = "down"

    assert await profile.get_info("a b/ü.jpg") == first


async def test_a_vanished_image_is_not_served_as_it_was(profile, archive):
    await profile.get_info("a b/ü.jpg")
    archive.files.clear()

    with pytest.raises(ImageNotFound):
        await profile.get_info("a b/ü.jpg")


async def test_it_serves(example, archive, tmp_path, aiohttp_client):
    picture = drawn_picture(600, 400)
    picture.save(tmp_path / "picture.jpg")
    archive.files["sheet 1.jpg"] = (tmp_path / "picture.jpg").read_bytes()
    archive.files["huge.jpg"] = bytes(500_000)
    (tmp_path / "config.yaml").write_text(CONFIG.format(url=archive.url))
    types = {profile_type.name: profile_type for profile_type in example.iiif_register_profiles()}
    plugins = Plugins((), types)
    app = build_app(read_config(tmp_path / "config.yaml", plugins), plugins)
    client = await aiohttp_client(app)

    async with client.get("/scans:sheet%201.jpg/info.json") as answer:
        assert (await answer.json())["width"] == 600
    async with client.get("/scans:sheet%201.jpg/0,0,300,300/100,/0/default.png") as answer:
        tile = Image.open(io.BytesIO(await answer.read()))
    assert tile.size == (100, 100)
    expected = np.asarray(picture.crop((0, 0, 300, 300)).resize((100, 100)), float)
    assert np.abs(np.asarray(tile.convert("RGB"), float) - expected).mean() < 4
    async with client.get("/scans:missing.jpg/info.json") as answer:
        assert answer.status == 404
    async with client.get("/scans:huge.jpg/info.json") as answer:
        assert answer.status == 413
    assert archive.answers[200] == 2


class TestContract(ProfileContract):
    """What every profile promises."""

    @pytest.fixture
    def known_image(self, archive):
        image = draw_image("drawers/known.tif")
        archive.files[image.name] = image.original
        return image

    @pytest.fixture
    def profile(self, iiif_profile, example, archive):
        (profile_type,) = example.iiif_register_profiles()
        return iiif_profile(profile_type, base_url=archive.url, check_after=0.0)

    @pytest.fixture
    def modify(self, archive, known_image):
        def modify():
            image = draw_image(known_image.name, seed=1)
            archive.files[image.name] = image.original
            return image

        return modify

    @pytest.fixture
    def vanish(self, archive):
        return archive.files.clear

    @pytest.fixture
    def damage(self, archive, known_image):
        return lambda: archive.files.update({known_image.name: b"no image any more"})


def test_it_registers_its_type_and_options(example):
    (profile_type,) = example.iiif_register_profiles()

    assert (profile_type.name, profile_type.profile) == ("archive", example.ArchiveProfile)
    with pytest.raises(ValidationError):
        profile_type.options(rights="http://example.org/r")


def test_the_page_shows_the_example_as_it_is():
    shown = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    assert SOURCE.read_text() in shown

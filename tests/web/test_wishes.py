"""Which wishes for images are refused for want of room, as the site tells, and how that is answered."""

import io
import logging
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock, patch

import pytest
from aiohttp import web
from PIL import Image

from iiif_server.app import build_app
from iiif_server.caches.derivative import Derivative, FileSlice
from iiif_server.config.shares import Share
from iiif_server.errors import (
    IIIFServerError,
    ImageNotFound,
    ProfileNotFound,
    RenderFailed,
    ServerBusy,
    UnreadableSource,
)
from iiif_server.iiif.versions import VERSIONS
from iiif_server.plugins import load_plugins
from iiif_server.services.image_requests import ImageRequest
from iiif_server.telemetry.timings import CURRENT, Tier, Trace
from iiif_server.web.doorway import Refused
from iiif_server.web.heads import Wish
from iiif_server.web.images import read_address
from iiif_server.web.keys import SITE, Site
from iiif_server.web.ready import Given
from iiif_server.web.wishes import ImageWishes
from iiif_server.workshop import read_config
from tests.support.pictures import drawn_picture

TILE = b"/0,0,10,10/5,/0/default.jpg"
BUSY = ServerBusy("The server is busy.", log="the line is full", retry_after=3)


class Images:
    """There is room for so many behind those that are ahead; refuses all else."""

    def __init__(self) -> None:
        self.places = 0
        self.asked: list[str] = []
        self.room = SimpleNamespace(is_full=lambda ahead: ahead >= self.places, refusal=self.refusal)

    def refusal(self, ahead: int = 0) -> ServerBusy | None:
        return BUSY if ahead >= self.places else None

    async def refusals(self, requests: list[ImageRequest], ahead: int) -> list[ServerBusy | None]:
        self.asked += [request.identifier.name for request in requests]
        return [self.refusal(ahead + number) for number in range(len(requests))]


class Profiles:
    default = "files"

    def get(self, name: str) -> SimpleNamespace:
        if name != "files":
            raise ProfileNotFound("There is no such profile.")
        return SimpleNamespace(context=SimpleNamespace(name=name))


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def wishes(images: Images) -> ImageWishes:
    site = SimpleNamespace(images=images, profiles=Profiles(), default_api=VERSIONS[3])
    return ImageWishes(cast("Site", site))


def wish(target: bytes, accept: bytes | None = None) -> Wish:
    return Wish(target, b"here", accept, None)


async def test_each_is_told_of_its_own(wishes: ImageWishes, images: Images) -> None:
    """What is no image, or asks for nonsense, is left to the framework, and takes nobody's place."""
    images.places = 3
    targets = [
        b"/a" + TILE,
        b"/b/info.json",
        b"/iiif/2/c" + TILE,
        b"/d/0,0,10/5,/0/default.jpg",
        b"/e" + TILE,
    ]
    refused = await wishes.look([wish(target) for target in targets], ahead=1)

    assert images.asked == ["a", "c", "e"]
    assert [each is None for each in refused] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("target", "is_refused"),
    [
        (b"/a" + TILE, True),
        (b"/files:a" + TILE, True),
        (b"/iiif/3/a" + TILE, True),
        (b"/a/full/nonsense/0/default.jpg", True),  # nobody looks
        (b"/a/info.json", False),
        (b"/metrics", False),
        (b"/iiif/4/a" + TILE, False),
        (b"/a/b" + TILE, False),
        (b"/strange:a" + TILE, False),
    ],
)
def test_only_what_asks_for_an_image_is_refused_unseen(
    wishes: ImageWishes, target: bytes, is_refused: bool
) -> None:
    assert (wishes.unseen(wish(target), 0) is not None) is is_refused
    assert wishes.takes_work(wish(target)) or not is_refused


def test_what_is_no_image_need_not_wait_for_room(wishes: ImageWishes) -> None:
    assert wishes.takes_work(wish(b"/a" + TILE))
    for target in (b"/a/info.json", b"/iiif/3/a/info.json", b"/metrics", b"/"):
        assert not wishes.takes_work(wish(target))


def test_what_there_is_room_for_is_not_refused(wishes: ImageWishes, images: Images) -> None:
    images.places = 2
    assert not wishes.is_full(1)
    assert wishes.unseen(wish(b"/a" + TILE), 1) is None
    assert wishes.is_full(2)
    assert wishes.unseen(wish(b"/a" + TILE), 2) is not None


@pytest.mark.parametrize(
    ("accept", "media_type", "body"),
    [
        (None, b"text/plain", b"The server is busy.\n"),
        (b"application/json", b"application/json", b'{"error": "The server is busy.", "status": 503}'),
    ],
)
async def test_how_it_is_answered(
    wishes: ImageWishes, accept: bytes | None, media_type: bytes, body: bytes
) -> None:
    """The same, whether somebody looked or not; counted for the profile, and never kept."""
    target = b"/files:a" + TILE
    seen = (await wishes.look([wish(target, accept)], 0))[0]
    unseen = wishes.unseen(wish(target, accept), 0)

    assert seen is not None
    assert seen == unseen
    assert seen.error is BUSY
    assert seen.given.body == body
    assert seen.given.head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    for field in (b"Retry-After: 3", b"Cache-Control: no-store", b"Content-Type: %s; charset" % media_type):
        assert b"\r\n" + field in seen.given.head
    assert seen.given.described.target == target.decode()
    assert seen.given.described.key[:4] == ("image", "files", "GET", 503)


@pytest.fixture
def app(tmp_path: Path) -> web.Application:
    (tmp_path / "images").mkdir()
    drawn_picture(400, 300).save(tmp_path / "images" / "photo.jpg")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"cache_path: {tmp_path / 'cache'}\ndefault_profile: files\nimage_pool_size: 1\n"
        f"profiles:\n  files: {{type: disk, path: {tmp_path / 'images'}, rights: http://example.org/}}\n"
    )
    plugins = load_plugins()
    return build_app(read_config(config, plugins), plugins, Share())


@pytest.fixture
async def site(app: web.Application) -> AsyncIterator[Site]:
    """A real one."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        yield app[SITE]
    finally:
        await runner.cleanup()


PHOTO = wish(b"/photo.jpg/0,0,200,100/100,/0/default.jpg")


async def bring(site: Site, wanted: Wish = PHOTO) -> tuple[Given | Refused | None, Trace]:
    """What a wish for an image that is known is answered with."""
    await site.images.prepare(read_address(wanted.target.decode(), "files", VERSIONS[3]))
    fetch = ImageWishes(site).fetch(wanted)
    assert fetch is not None
    trace = Trace("its id")
    CURRENT.set(trace)
    return await fetch(trace), trace


async def test_what_a_worker_has_to_make_is_answered(site: Site) -> None:
    """If nobody has to be asked about the image; and it may be given again."""
    assert ImageWishes(site).fetch(PHOTO) is None
    for tier in (Tier.WORKER, Tier.MEMORY):
        given, trace = await bring(site)

        assert isinstance(given, Given)
        assert given.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert Image.open(io.BytesIO(given.body)).size == (100, 50)
        assert given.again is not None
        assert given.again() == given.body
        assert given.described == (("image", "files", "GET", 200, tier), PHOTO.target.decode())
        assert ("encode" in trace.steps) is (tier is Tier.WORKER)


async def test_what_is_sent_piece_by_piece_is_left_to_the_framework(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because it is large, or a file: that is closed."""
    (tmp_path / "stored").write_bytes(b"stored")
    file = FileIO(tmp_path / "stored")
    slices = AsyncMock(side_effect=lambda prepared: (prepared, Derivative(FileSlice(file, 0, 6), 6)))
    monkeypatch.setattr(site.images, "derivative", slices)
    assert (await bring(site))[0] is None
    assert file.closed

    monkeypatch.setattr("iiif_server.web.wishes._MOST_PIXELS", 100 * 50)
    assert ImageWishes(site).fetch(PHOTO) is not None
    monkeypatch.setattr("iiif_server.web.wishes._MOST_PIXELS", 100 * 50 - 1)
    assert ImageWishes(site).fetch(PHOTO) is None


@pytest.mark.parametrize(
    ("error", "status", "level"),
    [
        (UnreadableSource("It can't be read.", log="it is\nbroken"), 422, logging.INFO),
        (ImageNotFound(log="it is gone"), 404, logging.INFO),
        (RenderFailed("It failed.", log="it is a mistake"), 500, logging.ERROR),
    ],
)
async def test_what_can_not_be_made_is_answered_and_logged(
    site: Site, error: IIIFServerError, status: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As errors are by the framework, in a line."""
    caplog.set_level(logging.INFO, "iiif_server.web")
    with patch.object(site.images, "derivative", AsyncMock(side_effect=error)):
        given, _ = await bring(site)

    assert isinstance(given, Given)
    assert given.head.startswith(b"HTTP/1.1 %d " % status)
    assert given.body == f"{error.public}\n".encode()
    assert given.again is None
    assert given.described.key == ("image", "files", "GET", status, "")
    (record,) = (record for record in caplog.records if record.name.startswith("iiif_server.web"))
    assert record.levelno == level
    assert record.message.startswith(f"GET {PHOTO.target.decode()}: {status} it is")
    assert "\n" not in record.message


async def test_what_there_is_no_room_for_after_all_is_refused(site: Site) -> None:
    with patch.object(site.images, "derivative", AsyncMock(side_effect=BUSY)):
        refused, _ = await bring(site)

    assert isinstance(refused, Refused)
    assert refused.error is BUSY
    assert refused.given.head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 3\r\n" in refused.given.head

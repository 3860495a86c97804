"""Which wishes for images are refused for want of room, as the site tells, and how that is answered."""

from types import SimpleNamespace
from typing import cast

import pytest

from iiif_server.errors import ProfileNotFound, ServerBusy
from iiif_server.iiif.versions import VERSIONS
from iiif_server.services.image_requests import ImageRequest
from iiif_server.web.heads import Wish
from iiif_server.web.keys import Site
from iiif_server.web.wishes import ImageWishes

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

"""Hostile origins: each has its outcome, nothing is kept, and nothing is told."""

import http_hostile
import pytest
from http_hostile import IMAGE, KINDS, LIMIT
from http_origin import image, reply

from iiif_server.api import IIIFServerError, ImageNotFound, UpstreamFailed


@pytest.fixture
def small(http_profile):
    """Set up a profile that is soon out of patience."""

    def set_up(**options):
        return http_profile(**{"read_timeout": 0.3, "total_timeout": 5, "connect_timeout": 2} | options)

    return set_up


@pytest.fixture
def limited(monkeypatch):
    """Sources have 1 MiB at most, as ``max_source_bytes`` says in a configuration."""
    from dataclasses import replace

    from iiif_server_http.profile import HttpProfile

    begin = HttpProfile.__init__

    def init(self, context, options):
        begin(self, replace(context, max_source_bytes=LIMIT), options)

    monkeypatch.setattr(HttpProfile, "__init__", init)


@pytest.mark.parametrize("name", KINDS)
async def test_hostile_origin(name, nothing_left, limited, small, origin):
    kind = KINDS[name]
    origin.pages["/image"] = kind.page(origin)
    origin.pages["/other"] = image(IMAGE)

    async with small(**kind.options).live() as live:
        with pytest.raises(IIIFServerError) as caught:
            await live.get_info("image")
        kept = [key async for key in live._store.stored_keys()]
        status = await live.get_status()

    assert caught.value.status == kind.outcome, caught.value.log
    assert kept == []
    assert not any(word in caught.value.public for word in ("127.0.0.1", "Traceback", "word", "10.0.0.1"))
    assert "word" not in str(status)
    assert status["origin"]["images"] == (kind.outcome == 422)


async def test_a_good_origin_passes(nothing_left, limited, small, origin):
    """What the hostile ones are compared with."""
    packed = http_hostile.zipped(IMAGE)
    origin.pages |= {
        "/plain": image(IMAGE),
        "/moved": http_hostile.moved("/again", 301),
        "/again": http_hostile.moved(f"{origin.url}/third", 308),
        "/third": http_hostile.moved("plain#x", 303),
        "/closed": http_hostile.UNTIL_CLOSED + IMAGE,
        "/chunks": http_hostile.CHUNKED + http_hostile.chunk(IMAGE) + b"0\r\n\r\n",
        "/gzip": reply(200, packed, Content_Encoding="gzip"),
        "/deflate": reply(200, http_hostile.zlib.compress(IMAGE), Content_Encoding="deflate"),
        "/raw": reply(200, http_hostile.raw_deflate(IMAGE), Content_Encoding="Deflate"),
        "/page": reply(200, IMAGE, Content_Type="text/html"),
    }
    async with small().live() as live:
        for name in ("plain", "moved", "closed", "chunks", "gzip", "deflate", "raw", "page"):
            info = await live.get_info(name)
            pieces = [piece async for piece in live.stream_original(name, 4096)]

            assert (info.width, info.height, b"".join(pieces)) == (300, 200, IMAGE), name


async def test_one_redirect_too_many(small, origin):
    for number in range(4):
        origin.pages[f"/{number}"] = http_hostile.moved(f"/{number + 1}")
    origin.pages["/4"] = image(IMAGE)
    async with small().live() as live:
        assert await live.get_info("1")
        with pytest.raises(UpstreamFailed):
            await live.get_info("0")

    assert origin.paths.count("/4") == 1


async def test_a_refused_connection(small, origin):
    async with small(url="http://127.0.0.1:1/{name}").live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")
    assert caught.value.status == 502


async def test_a_handshake_that_nobody_answers(small, origin):
    async with small(url=f"https://127.0.0.1:{origin.port}/{{name}}").live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")
    assert caught.value.status == 504


async def test_loopback_is_forbidden_unless_it_is_allowed(small, origin):
    origin.pages["/image"] = image(IMAGE)
    async with small(allow_private=[]).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")

    assert "allow_private" in caught.value.log
    assert "127" not in caught.value.public
    assert origin.requests == []


@pytest.mark.parametrize(
    "name", ["../x", "a%00", "x\r\nHost: y", "user@x", "\\x", "%2e%2e/x", "\u2024\u2024/x"]
)
async def test_hostile_names_are_not_asked_for(small, origin, name):
    """Those that are sent are sent as one part of the path."""
    async with small().live() as live:
        with pytest.raises(ImageNotFound):
            await live.get_info(name)

    assert [path for path in origin.paths if path != "/user%40x"] == []

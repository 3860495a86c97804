"""Hosts are names, and names are resolved: to what is allowed, once for each connection."""

import socket

import pytest
from aiohttp.abc import AbstractResolver
from http_origin import image

from iiif_server.api import UpstreamFailed
from iiif_server.testing import draw_image

IMAGE = draw_image("known", 30, 20).original


class FakeResolver(AbstractResolver):
    """A name server under the control of somebody else: each look-up may answer otherwise."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        answers = self.answers.get(host)
        if answers is None:
            raise OSError(None, "no such host")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    async def close(self):
        pass


@pytest.fixture
def resolver(monkeypatch):
    resolver = FakeResolver()
    monkeypatch.setattr("iiif_server_http.guard.ThreadedResolver", lambda: resolver)
    return resolver


@pytest.fixture
def named(http_profile, origin):
    """A profile whose origin has a name."""
    origin.pages["/image"] = image(IMAGE)

    def set_up(**options):
        return http_profile(**{"url": f"http://origin.test:{origin.port}/{{name}}"} | options)

    return set_up


async def test_a_name_that_resolves_to_what_is_allowed(resolver, named, origin):
    resolver.answers["origin.test"] = [["127.0.0.1"]]
    async with named().live() as live:
        assert (await live.get_info("image")).width == 30

    assert resolver.asked == ["origin.test"]
    assert origin.requests[0].headers["host"] == f"origin.test:{origin.port}"


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["0.0.0.0"], ["::1"], ["fd00::1"]),
        *(["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["100.64.0.1"], ["not an address"]),
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700::1", "8.8.8.8", "::ffff:10.0.0.1"],
    ],
)
async def test_a_name_with_any_forbidden_address_is_refused(resolver, named, origin, addresses):
    """Also if others of its addresses are good: none of them is tried."""
    resolver.answers["origin.test"] = [addresses]
    async with named(allow_private=[]).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")

    assert "allow_private" in caught.value.log
    assert "DNSError" in caught.value.log  # refused at the look-up, before any address was tried
    assert origin.requests == []


async def test_rebinding(resolver, named, origin):
    """What a name resolved to before counts for nothing: each connection goes to what was checked for it."""
    resolver.answers["origin.test"] = [["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]]
    async with named(allow_private=["127.0.0.1/32"]).live() as live:
        assert await live.get_info("image")
        with pytest.raises(UpstreamFailed):
            await live.get_info("image")
        assert await live.get_info("image")

    assert len(resolver.asked) == 3
    assert len(origin.requests) == 2


async def test_a_redirect_to_a_name_that_resolves_to_what_is_forbidden(resolver, named, origin):
    resolver.answers |= {"origin.test": [["127.0.0.1"]], "other.test": [["10.0.0.1"]]}
    origin.pages["/moved"] = (
        b"HTTP/1.1 302 Found\r\nLocation: http://other.test/x\r\nContent-Length: 0\r\n\r\n"
    )
    async with named(allow_redirects=["http://other.test/"]).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("moved")

    assert "10.0.0.1" in caught.value.log
    assert resolver.asked == ["origin.test", "other.test"]


async def test_a_name_that_nobody_knows(resolver, named):
    async with named().live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")

    assert caught.value.status == 502
    assert "origin.test" not in caught.value.public


async def test_a_name_server_that_does_not_answer(resolver, named, monkeypatch):
    import asyncio

    async def resolve(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(resolver, "resolve", resolve)
    async with named(connect_timeout=0.2).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")

    assert caught.value.status == 504


async def test_headers_of_the_operator_stay_at_home(resolver, named, origin):
    """A key is sent to the origin, also after redirects within it, and never to another one."""
    resolver.answers |= {"origin.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    for path, target in (("/near", "/image"), ("/far", f"http://other.test:{origin.port}/image")):
        origin.pages[path] = (
            b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b; Domain=test\r\n"
            b"Location: %s\r\nContent-Length: 0\r\n\r\n" % target.encode()
        )
    setup = named(
        headers={"X-Api-Key": "secret", "Cookie": "c=d", "Authorization": "Basic secret"},
        allow_redirects=[f"http://other.test:{origin.port}/"],
        user_agent="museum",
    )
    async with setup.live() as live:
        await live.get_info("near")
        await live.get_info("far")
        assert "secret" not in str(await live.get_status())

    sent = [
        (request.path, request.headers.get("x-api-key"), request.headers.get("cookie"))
        for request in origin.requests
    ]
    assert sent == [
        ("/near", "secret", "c=d"),
        ("/image", "secret", "c=d"),
        ("/far", "secret", "c=d"),
        ("/image", None, None),
    ]
    assert "authorization" not in origin.requests[-1].headers
    assert {request.headers["user-agent"] for request in origin.requests} == {"museum"}
    assert "secret" not in repr(setup.options)

"""Every address has a kind, and every kind is on the list."""

import pytest
from aiohttp import web

from iiif_server.iiif import v3
from iiif_server.routes import Route, RouteAnswer
from iiif_server.web.kinds import KINDS, kind_of
from iiif_server.web.routes import add_routes


async def answer(_request):
    return RouteAnswer()


@pytest.fixture
async def kinds(aiohttp_client):
    """The kind that each path is of, as the server sees it."""
    seen = {}

    @web.middleware
    async def see(request, handler):
        seen[request.rel_url.raw_path] = kind_of(request)
        return web.Response()

    app = web.Application(middlewares=[see])
    add_routes(app, v3.API, [Route("/mam/{asset_id}", answer), Route("/mam/{a}/b", answer)])
    client = await aiohttp_client(app)

    async def ask(method, path):
        async with client.request(method, path):
            return seen[path]

    return ask


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "start"),
        ("/favicon.ico", "static"),
        ("/static/viewer.js", "static"),
        ("/status", "status"),
        ("/metrics", "metrics"),
        ("/health", "health"),
        ("/health/live", "health"),
        ("/health/ready", "health"),
        ("/a:b", "identifier"),
        ("/iiif/2/a:b", "identifier"),
        ("/a:b/info.json", "info"),
        ("/iiif/3/a:b/info.json", "info"),
        ("/a:b/full/max/0/default.jpg", "image"),
        ("/iiif/2/a:b/full/max/0/default.jpg", "image"),
        ("/mam/7", "plugin"),
        ("/mam/7/b", "plugin"),
        ("/no/such/address", "other"),
    ],
)
async def test_kinds(kinds, path, kind):
    assert await kinds("GET", path) == kind
    assert kind in KINDS


async def test_another_method_is_of_no_kind(kinds):
    assert await kinds("DELETE", "/status") == await kinds("OPTIONS", "/status") == "other"

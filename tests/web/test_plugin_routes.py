"""Routes of plugins in the real application."""

import asyncio
import json

import pytest

from iiif_server.api import ImageNotFound, Route, RouteAnswer
from iiif_server.app import build_app
from iiif_server.testing import draw_image
from iiif_server.testing.profiles import configuration, plugins_for


async def echo(request):
    told = {
        "parameters": dict(request.parameters),
        "query": dict(request.query),
        "profiles": sorted(request.profiles),
        "default": request.default_profile,
        "url": request.image_url("disk", "a/b"),
    }
    return RouteAnswer(body=json.dumps(told).encode(), content_type="application/json", headers={"X-A": "b"})


async def away(request):
    return RouteAnswer.redirect(request.image_url("disk", "a"), status=307)


async def missing(request):
    raise ImageNotFound("It is not here.", log="/secret")


async def broken(request):
    raise RuntimeError("/secret")


@pytest.fixture
def setup(iiif_profile, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("echo", "plain"):
        (pictures / name).write_bytes(draw_image(name, 40, 30, file_format="PNG").original)
    return iiif_profile("disk", path=str(pictures))


@pytest.fixture
async def client(setup, aiohttp_client):
    routes = (
        Route("/echo/{one}", echo),
        Route("/echo/{one}/{two}", echo),
        Route("/away/x", away),
        Route("/missing/x", missing),
        Route("/broken/x", broken),
    )
    config = await asyncio.to_thread(configuration, [setup], {"default_profile": "disk"})
    return await aiohttp_client(build_app(config, plugins_for(setup, routes=routes)))


async def test_what_a_handler_is_told(client):
    answer = await client.get("/echo/a%2Fb%20c?x=1&x=2&y=")
    told = await answer.json()

    assert told.pop("url") == f"http://127.0.0.1:{client.port}/a%2Fb"
    assert told == {
        "parameters": {"one": "a/b c"},
        "query": {"x": "1", "y": ""},
        "profiles": ["disk"],
        "default": "disk",
    }
    assert answer.headers["X-A"] == "b"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_more_parameters_and_head(client):
    answer = await client.get("/echo/1/info.json")
    assert (await answer.json())["parameters"] == {"one": "1", "two": "info.json"}
    assert (await client.head("/echo/1")).status == 200
    assert (await client.post("/echo/1")).status == 405
    assert (await client.options("/echo/1")).status == 204


async def test_what_could_be_an_image_is_one(client):
    document = await (await client.get("/echo/info.json")).json()
    image = await client.get("/echo/full/max/0/default.png")
    plain = await (await client.get("/plain/info.json")).json()

    assert (document["width"], plain["width"]) == (40, 40)
    assert image.content_type == "image/png"
    assert (await client.get("/echo", allow_redirects=False)).status == 303


async def test_redirects_and_errors(client):
    away = await client.get("/away/x", allow_redirects=False)
    assert (away.status, away.headers["Location"]) == (307, f"http://127.0.0.1:{client.port}/a")
    for path, status, text in (
        ("/missing/x", 404, "It is not here.\n"),
        ("/broken/x", 500, "The server failed to answer this request.\n"),
        ("/echo/%ff", 400, "The address is not UTF-8.\n"),
    ):
        answer = await client.get(path)
        assert (answer.status, await answer.text()) == (status, text)

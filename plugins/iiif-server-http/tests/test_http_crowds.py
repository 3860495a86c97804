"""Many at once, those who leave, and the real application."""

import asyncio

import pytest
from http_hostile import half_a_body
from http_origin import image, reply

from iiif_server.testing import draw_image, image_path

KNOWN = draw_image("known")


async def test_two_hundred_ask_and_one_fetches(nothing_left, http_profile, origin):
    async def slow(request, writer):
        await asyncio.sleep(0.2)
        await image(KNOWN.original)(request, writer)

    origin.pages["/known"] = slow
    async with http_profile(max_age=600).live() as live:
        infos = await asyncio.gather(*(live.get_info("known") for _ in range(200)))

    assert len(set(infos)) == 1
    assert len(origin.requests) == 1


async def test_one_who_leaves_takes_nobody_along(nothing_left, http_profile, origin):
    go_on = asyncio.Event()

    async def waiting(request, writer):
        writer.write(reply(200, Content_Length=len(KNOWN.original)))
        await go_on.wait()
        writer.write(KNOWN.original)

    origin.pages["/known"] = waiting
    async with http_profile(max_age=600).live() as live:
        leaving, staying = (asyncio.create_task(live.get_info("known")) for _ in range(2))
        while not origin.open:
            await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.wait([leaving])
        go_on.set()

        assert (await staying).width == 1201
    assert leaving.cancelled()
    assert len(origin.requests) == 1


async def test_the_last_one_who_leaves_leaves_nothing(nothing_left, http_profile, origin, tmp_path):
    """The connection is closed, and no file is there."""
    origin.pages["/known"] = half_a_body
    async with http_profile(max_age=600).live() as live:
        task = asyncio.create_task(live.get_info("known"))
        while not origin.open:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert len(live._origin._opened().connector._acquired) == 0
        assert [key async for key in live._store.stored_keys()] == []
        assert live._store.statistics()["in_use"] == 0
    assert task.cancelled()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 10_000] == []


async def test_connections_are_limited(http_profile, origin):
    most = 0

    async def counting(request, writer):
        nonlocal most
        most = max(most, origin.open)
        await asyncio.sleep(0.02)
        await image(KNOWN.original)(request, writer)

    origin.pages |= {f"/{number}": counting for number in range(12)}
    async with http_profile(connections=3).live() as live:
        await asyncio.gather(*(live.get_info(str(number)) for number in range(12)))

    assert most <= 3
    assert len(origin.requests) == 12


async def test_in_the_application(http_profile, iiif_app, origin):
    """From the request to the answer, with the statuses of the origin's faults."""
    origin.pages |= {
        "/known": image(KNOWN.original, '"1"', Content_Disposition='attachment; filename="scan 1.tif"'),
        "/page": reply(200, b"<html>secret</html>"),
        "/down": reply(500, b"Traceback"),
        "/slow": half_a_body,
    }
    setup = http_profile(max_age=600, read_timeout=1)
    async with iiif_app(setup) as app:
        info = await app.get(image_path("http", "known"))
        tile = await app.get(image_path("http", "known", "0,0,256,256/max/0/default.jpg?download"))
        statuses = {
            name: (await app.get(image_path("http", name))).status
            for name in ("none", "page", "down", "slow", "../known", "a\r\nb")
        }
        page = await app.get(image_path("http", "page"))

    assert (info.status, info.json()["width"], info.json()["height"]) == (200, 1201, 901)
    assert tile.status == 200
    assert "scan 1" in tile.headers["Content-Disposition"]
    assert statuses == {"none": 404, "page": 502, "down": 502, "slow": 504, "../known": 404, "a\r\nb": 400}
    assert page.headers["Cache-Control"] == "no-store"
    assert b"127.0.0.1" not in page.body
    assert origin.paths.count("/known") == 1


async def test_urls_as_names_in_the_application(http_profile, iiif_app, origin):
    origin.pages |= {"/pub/a%20b?c=d": image(KNOWN.original), "/secret": image(KNOWN.original)}
    setup = http_profile(allow=[f"{origin.url}/pub/"])
    async with iiif_app(setup) as app:
        good = await app.get(image_path("http", f"{origin.url}/pub/a%20b?c=d"))
        outside = await app.get(image_path("http", f"{origin.url}/secret"))
        climbing = await app.get(image_path("http", f"{origin.url}/pub/..%2fsecret"))

    assert (good.status, outside.status, climbing.status) == (200, 404, 404)
    assert origin.paths == ["/pub/a%20b?c=d"]


async def test_the_status(http_profile, origin):
    origin.pages |= {"/known": image(KNOWN.original, '"1"'), "/down": reply(503)}
    async with http_profile().live() as live:
        assert (await live.get_status())["last_error"] is None
        for name in ("known", "known", "down", "none"):
            await asyncio.gather(live.get_info(name), return_exceptions=True)
        status = await live.get_status()

    assert status["origin"] == {
        "requests": 4,
        "redirects": 0,
        "images": 1,
        "not_modified": 1,
        "not_found": 1,
        "failed": 1,
        "timeouts": 0,
    }
    assert status["last_error"]["status"] == 502
    assert status["last_error"]["what"].endswith("/down: the origin says 503")
    assert status["sources"]["entries"] == 1


@pytest.mark.parametrize(("option", "value"), [("cache_size", "2 MB"), ("keep_for", 1)])
async def test_the_store_keeps_to_its_options(http_profile, origin, option, value):
    origin.pages["/known"] = image(KNOWN.original)
    async with http_profile(max_age=600, **{option: value}).live() as live:
        assert (await live.get_info("known")).width == 1201
        expected = 2_000_000 if option == "cache_size" else 10 << 30
        assert live._store.statistics()["max_bytes"] == expected
        if option == "cache_size":  # more than half of it: fetched for each loan
            await live.get_info("known")
            assert len(origin.requests) == 2

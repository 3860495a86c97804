"""What is kept, how long, and how it is asked after."""

import asyncio

import pytest
from http_origin import image, reply

from iiif_server.api import ImageNotFound, KeepsSources, UnreadableSource, UpstreamFailed
from iiif_server.caches.keys import owner_of
from iiif_server.caches.owned import LEAVES
from iiif_server.testing import draw_image

ONE = draw_image("known", 30, 20).original
TWO = draw_image("known", 40, 20, seed=1).original
LATER = draw_image("known", 30, 20, seed=2).original
OLD = "Mon, 01 Jan 2024 10:00:00 GMT"
NEWER = "Mon, 01 Jan 2024 10:00:01 GMT"
NOW = "Fri, 05 Jan 2024 10:00:00 GMT"


async def conditions_of(origin):
    return [
        (request.headers.get("if-none-match"), request.headers.get("if-modified-since"))
        for request in origin.requests
    ]


@pytest.mark.parametrize(
    ("validators", "asked", "prefix"),
    [
        ({"etag": '"1"'}, ('"1"', None), "e-"),
        ({"etag": 'W/"1"'}, ('W/"1"', None), ""),
        ({"modified": OLD, "Date": NOW}, (None, OLD), "m-"),
        ({"modified": OLD, "Date": OLD}, (None, OLD), ""),
        ({"etag": '"1"', "modified": OLD}, ('"1"', OLD), "e-"),
        ({}, (None, None), ""),
        ({"etag": '"a"b"', "modified": "yesterday"}, (None, None), ""),
        ({"etag": "unquoted"}, (None, None), ""),
    ],
)
async def test_revalidation(http_profile, origin, validators, asked, prefix):
    """Well-formed validators are asked by; strong ones are the version, else a digest is."""
    origin.pages["/x"] = image(ONE, **validators)
    async with http_profile().live() as live:
        first = await live.get_info("x")
        again = await live.get_info("x")
        counts = (await live.get_status())["origin"]
        conditions = await conditions_of(origin)
        origin.pages["/x"] = image(LATER, **{**validators, "etag": '"2"', "modified": NEWER})
        other = await live.get_info("x")

    assert conditions == [(None, None), asked]
    assert counts["not_modified"] == (asked != (None, None))
    assert first == again
    assert first.version.startswith(prefix)
    assert prefix or "-" not in first.version
    assert other.version != first.version


async def test_a_weak_etag_is_no_version(http_profile, origin):
    """Bytes that differ under one weak ETag are seen to differ, once they are fetched."""
    origin.pages["/x"] = reply(200, ONE, ETag='W/"1"')
    async with http_profile().live() as live:
        first = await live.get_info("x")
        origin.pages["/x"] = reply(200, LATER, ETag='W/"1"')
        other = await live.get_info("x")

    assert first.version != other.version


async def test_a_304_for_another_image_is_no_confirmation(http_profile, origin):
    origin.pages["/x"] = image(ONE, '"1"')
    async with http_profile().live() as live:
        first = await live.get_info("x")

        async def confused(request, writer):
            if "if-none-match" in request.headers:
                writer.write(reply(304, ETag='"2"'))
            else:
                writer.write(reply(200, TWO, ETag='"2"'))

        origin.pages["/x"] = confused
        other = await live.get_info("x")

    assert (first.width, other.width) == (30, 40)


async def test_nothing_is_asked_within_max_age(http_profile, origin):
    origin.pages["/x"] = image(ONE)
    async with http_profile(max_age=600).live() as live:
        infos = [await live.get_info("x") for _ in range(3)]
        async with live.use_source(infos[0]) as path:
            assert await asyncio.to_thread(path.read_bytes) == ONE

    assert len(origin.requests) == 1
    assert len(set(infos)) == 1


async def test_it_is_kept_over_a_restart(http_profile, origin):
    origin.pages["/x"] = image(ONE)
    setup = http_profile(max_age=600)
    for _ in range(2):
        async with setup.live() as live:
            await live.get_info("x")

    assert len(origin.requests) == 1


@pytest.mark.parametrize(("seconds", "helps"), [(600, True), (0, False)])
async def test_stale_if_error(http_profile, origin, seconds, helps):
    origin.pages["/x"] = image(ONE, '"1"')
    async with http_profile(stale_if_error=seconds).live() as live:
        first = await live.get_info("x")
        for page in (reply(500), reply(200, b"<html>down</html>"), reply(302, Location="http://10.0.0.1/")):
            origin.pages["/x"] = page
            if helps:
                assert await live.get_info("x") == first
            else:
                with pytest.raises(UpstreamFailed):
                    await live.get_info("x")
        origin.pages["/x"] = image(TWO, '"2"')
        assert (await live.get_info("x")).width == 40
        del origin.pages["/x"]
        with pytest.raises(ImageNotFound):
            await live.get_info("x")


async def test_a_failure_is_remembered_for_a_moment(http_profile, origin):
    origin.pages["/x"] = reply(500)
    async with http_profile(remember_failures=5).live() as live:
        for _ in range(3):
            with pytest.raises(UpstreamFailed):
                await live.get_info("x")
            with pytest.raises(ImageNotFound):
                await live.get_info("none")

    assert sorted(origin.paths) == ["/none", "/x"]


async def test_an_operator_finds_what_is_kept_by_the_images_name(http_profile, origin):
    """Also if it has slashes in it."""
    origin.pages["/a%2Fb"] = origin.pages["/c"] = image(ONE)
    async with http_profile(max_age=600).live() as live:
        await live.get_info("a/b")
        await live.get_info("c")
        upkeep = live.sources.upkeep("web")
        kept = await asyncio.to_thread(lambda: [one for leaf in LEAVES for one in upkeep.look(leaf)])

    assert isinstance(live, KeepsSources)
    assert {one.owner for one in kept} == {owner_of("web", "a/b"), owner_of("web", "c")}


async def test_what_can_not_be_read_is_not_kept(http_profile, origin):
    """It is asked for again after a moment, and not before."""
    origin.pages["/x"] = reply(200, ONE[:8] + b"\xff" * 99)
    async with http_profile(max_age=600, remember_failures=5).live() as live:
        for _ in range(3):
            with pytest.raises(UnreadableSource):
                await live.get_info("x")
        assert [key async for key in live._store.stored_keys()] == []
        assert len(origin.requests) == 1
    async with http_profile(max_age=600).live() as live:
        with pytest.raises(UnreadableSource):
            await live.get_info("x")
        origin.pages["/x"] = image(ONE)
        assert (await live.get_info("x")).width == 30


async def test_an_image_that_changes_in_transit(http_profile, origin):
    """After a long transfer the origin is asked whether it is still the same image."""

    async def changing(request, writer):
        number = len(origin.requests)
        writer.write(reply(200, ONE, ETag=f'"{number}"'))

    origin.pages |= {"/x": changing, "/same": image(ONE, '"1"'), "/plain": image(ONE)}
    async with http_profile(verify_after=0).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("x")
        assert [key async for key in live._store.stored_keys()] == []
        assert len(origin.requests) == 2
        assert await live.get_info("same")
        assert await live.get_info("plain")
    assert "changed" in caught.value.public
    assert origin.paths == ["/x", "/x", "/same", "/same", "/plain"]


async def test_redirects_that_change_do_not_change_the_image(http_profile, origin):
    """An origin that signs URLs redirects to another one each time: the bytes tell the version."""

    async def signing(request, writer):
        writer.write(reply(302, Location=f"/real?signature={len(origin.requests)}"))

    origin.pages["/x"] = signing
    origin.pages |= {f"/real?signature={number}": image(ONE, f'"{number}"') for number in range(9)}
    async with http_profile().live() as live:
        infos = [await live.get_info("x") for _ in range(2)]
    assert infos[0] == infos[1]
    assert all("if-none-match" not in request.headers for request in origin.requests)


@pytest.mark.parametrize(
    ("path", "disposition", "filename"),
    [
        ("a.tif", None, "a.tif"),
        ("a", None, "a"),
        ("a", 'attachment; filename="b.tif"', "b.tif"),
        ("a", "attachment; filename*=UTF-8''b%C3%BC.tif", "b\u00fc.tif"),
        ("a", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("a", 'attachment; filename="c:\\\\windows\\\\b.tif"', "b.tif"),
        ("a", 'attachment; filename="b\x01\x7f.tif"', "b.tif"),
        ("a", 'attachment; filename=".."', "a"),
        ("a", "=;;;", "a"),
    ],
)
async def test_the_name_of_a_download(http_profile, origin, path, disposition, filename):
    headers = {} if disposition is None else {"Content_Disposition": disposition}
    origin.pages[f"/{path}"] = image(ONE, **headers)
    async with http_profile(max_age=9).live() as live:
        assert await live.resolve_filename(path) == filename


async def test_modified_is_what_the_origin_says(http_profile, origin):
    origin.pages["/x"] = image(ONE, modified=OLD)
    async with http_profile().live() as live:
        assert (await live.get_info("x")).modified == 1704103200

"""What the services may answer, and what becomes of it."""

import asyncio

import pytest
from fake_museum import GUID, IRN, File
from iiif_server.api import Dimensions, IIIFServerError, ImageNotFound, UnreadableSource
from iiif_server.testing import draw_image, encode
from iiif_server.testing.leaks import Resources
from PIL import Image

PICTURE = draw_image(GUID, 800, 600)
SMALL = encode(PICTURE.picture.resize((400, 300)), "JPEG")
FAILED = f"Failed to retrieve the requested image data for {GUID}"


@pytest.fixture
async def live(museum):
    async with museum.live() as profile:
        yield profile


@pytest.fixture
def original(services):
    """An image with a derivative, whose size the catalogue tells."""
    return services.add(PICTURE.original, width=800, height=600, derivatives={"400.jpg": (400, 300, SMALL)})


async def lent(profile, hint=None, name=GUID):
    async with profile.use_source(await profile.get_info(name), hint) as path:
        return await asyncio.to_thread(path.read_bytes)


async def streamed(profile, chunk_size=4096):
    return b"".join([chunk async for chunk in profile.stream_original(GUID, chunk_size)])


async def failure(call):
    with pytest.raises(IIIFServerError) as caught:
        await call
    return caught.value


# The catalogue.


async def test_the_question_is_the_museums(services, original, live):
    await live.get_info(GUID)
    path, _, body = services.requests[0]

    assert path == "/data-mss-latest/_search"
    assert body == {
        "query": {"bool": {"filter": [{"term": {"data.guid._k": GUID}}]}},
        "size": 1,
        "track_total_hits": True,
    }
    assert [path for path, *_ in services.requests[1:]] == [
        f"/nhmlive/{IRN}",
        f"/nhmlive/{IRN}/original.tif",
    ]


async def test_what_is_known_without_fetching(services, original, live):
    info = await live.get_info(GUID)

    assert (info.width, info.height, info.media_type) == (800, 600, "image/tiff")
    assert info.modified == original.modified
    assert services.asked["file"] == 0


async def test_missing(services, live):
    assert isinstance(await failure(live.get_info(GUID)), ImageNotFound)
    assert services.asked["access"] == 0


async def test_duplicates_are_not_found_and_logged(services, original, live, caplog):
    services.add(b"other", irn=9)

    assert isinstance(await failure(live.get_info(GUID)), ImageNotFound)
    assert "duplicate: 2 documents" in caplog.text


async def test_a_document_without_a_file_is_not_found_and_logged(services, live, caplog):
    services.documents.append({"guid": GUID, "id": IRN})

    assert isinstance(await failure(live.get_info(GUID)), ImageNotFound)
    assert "can't be used" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"hits": {"total": 1}}',
        b'{"hits": {"total": {"value": "1"}}}',
        b'{"hits": {"total": {"value": 1}, "hits": []}}',
        b'{"hits": {"total": {"value": 1}, "hits": [{"_source": {"data": [1]}}]}}',
    ],
)
async def test_wrong_answers_of_elasticsearch_are_an_outage(services, original, live, body):
    services.search_body = body
    error = await failure(live.get_info(GUID))

    assert (error.status, error.public) == (503, FAILED)
    assert (await live.get_status())["error_breakdown"]["es"] == 1


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_errors_of_elasticsearch_are_an_outage(services, original, live, status):
    services.failing["search"] = status

    assert (await failure(live.get_info(GUID))).status == 503


async def test_no_elasticsearch_is_an_outage_that_passes(services, original, museum, unused_tcp_port):
    down = museum.with_options(es_hosts=[f"http://127.0.0.1:{unused_tcp_port}"])
    async with down.live() as profile:
        error = await failure(profile.get_info(GUID))
        assert (error.status, error.public, error.retry_after) == (503, FAILED, 5)
        assert str(unused_tcp_port) not in error.public


async def test_another_node_answers(services, original, museum, unused_tcp_port):
    half = museum.with_options(es_hosts=[f"http://127.0.0.1:{unused_tcp_port}", services.url])
    async with half.live() as profile:
        for _ in range(4):
            assert await profile.get_info(GUID)


async def test_a_slow_look_up_is_an_outage(services, original, museum):
    services.pauses["search"] = 5
    async with museum.with_options(info_lock_ttl=0.1).live() as profile:
        error = await failure(profile.get_info(GUID))

    assert (error.status, error.public) == (503, "A timeout occurred, please try again")


async def test_an_outage_is_not_remembered(services, original, museum):
    async with museum.with_options(info_cache_ttl=1000).live() as profile:
        services.failing["search"] = 500
        await failure(profile.get_info(GUID))
        services.failing.clear()

        assert await profile.get_info(GUID)


async def test_a_look_up_is_remembered(services, original, museum):
    async with museum.with_options(info_cache_ttl=1000).live() as profile:
        first = await profile.get_info(GUID)
        assert await profile.get_info(GUID) == first

    assert services.asked["search"] == 1


# Access.


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_may_not_be_shown_is_not_found(services, original, live, status):
    services.failing["access"] = status

    assert isinstance(await failure(live.get_info(GUID)), ImageNotFound)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_an_outage_of_the_access_check_is_no_refusal(services, original, live, status):
    services.failing["access"] = status
    error = await failure(live.get_info(GUID))

    assert (error.status, error.public) == (503, FAILED)
    assert (await live.get_status())["error_breakdown"]["mss_access"] == 1


# Files.


@pytest.mark.parametrize(
    ("hint", "content"),
    [(None, PICTURE.original), ((400, 300), SMALL), ((1, 1), SMALL), ((401, 300), PICTURE.original)],
)
async def test_the_file_that_suffices_is_lent(services, original, live, hint, content):
    assert await lent(live, hint and Dimensions(*hint)) == content


async def test_a_file_is_fetched_once(services, original, live):
    assert [await lent(live) for _ in range(3)] == [PICTURE.original] * 3
    assert services.asked["file"] == 1


async def test_odd_file_names_are_quoted(services, live):
    name = "a b/ü?#%41.tif"
    services.documents.append({"guid": GUID, "id": IRN, "file": name, "width": 800, "height": 600})
    services.files[f"{IRN}/{name}"] = File(PICTURE.original)

    assert await lent(live) == PICTURE.original
    assert await live.resolve_filename(GUID) == "ü?#%41.tif"
    assert services.requests[-1][0].endswith("a%20b%2F%C3%BC%3F%23%2541.tif")


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_errors_of_the_store_are_an_outage(services, original, live, status):
    info = await live.get_info(GUID)
    services.failing["file"] = status
    with pytest.raises(IIIFServerError) as caught:
        async with live.use_source(info):
            pytest.fail("nothing is lent")

    assert (caught.value.status, caught.value.public) == (503, FAILED)
    assert (await live.get_status())["error_breakdown"]["mss_direct"] == 1


async def test_what_the_store_does_not_have_the_dams_has(services, original, live):
    del services.files[f"{IRN}/original.tif"]
    services.damsurls[str(IRN)] = f"{services.url}/dams/x.tif"
    services.dams["x.tif"] = File(PICTURE.original)

    assert await lent(live) == PICTURE.original
    assert await streamed(live) == PICTURE.original
    assert await live.resolve_original_size(GUID) == len(PICTURE.original)


async def test_a_missing_derivative_comes_from_the_dams_too(services, original, live):
    """It has the original: any file of the image serves."""
    del services.files[f"{IRN}/400.jpg"]
    services.damsurls[str(IRN)] = f"{services.url}/dams/x.tif"
    services.dams["x.tif"] = File(PICTURE.original)

    assert await lent(live, Dimensions(100, 75)) == PICTURE.original


@pytest.mark.parametrize("text", [None, "", "no address", "file:///etc/passwd", "http://[", "//x/y"])
async def test_without_an_address_in_the_dams_it_is_an_outage(services, original, live, text):
    del services.files[f"{IRN}/original.tif"]
    if text is not None:
        services.damsurls[str(IRN)] = text
    error = await failure(live.get_info(GUID))

    assert (error.status, error.public) == (503, FAILED)
    assert (await live.get_status())["error_breakdown"]["mss_indirect"] == 1


async def test_a_dead_address_in_the_dams_is_an_outage(services, original, live, unused_tcp_port):
    del services.files[f"{IRN}/original.tif"]
    services.damsurls[str(IRN)] = f"http://127.0.0.1:{unused_tcp_port}/x.tif"
    assert (await failure(live.get_info(GUID))).status == 503
    services.damsurls[str(IRN)] = f"{services.url}/dams/gone.tif"
    assert (await failure(live.get_info(GUID))).status == 503

    assert (await live.get_status())["error_breakdown"]["dams"] == 2


async def test_half_a_file_is_not_kept(services, original, live):
    original.truncated = True
    info = await live.get_info(GUID)
    with pytest.raises(IIIFServerError) as caught:
        async with live.use_source(info):
            pytest.fail("half a file is lent")
    original.truncated = False

    assert caught.value.status == 503
    assert await lent(live) == PICTURE.original


async def test_a_page_instead_of_an_image_is_not_kept(services, original, live):
    original.headers["Content-Type"] = "text/html; charset=utf-8"
    assert (await failure(live.get_info(GUID))).status == 503
    del original.headers["Content-Type"]

    assert await lent(live) == PICTURE.original


async def test_a_file_that_is_no_image(services, live):
    services.add(b"not an image at all")

    assert isinstance(await failure(live.get_info(GUID)), UnreadableSource)


# Sizes and versions.


async def test_a_size_that_the_catalogue_lacks_is_looked_up_in_the_file(services, live):
    services.add(PICTURE.original)

    assert tuple((await live.get_info(GUID)).size) == (800, 600)
    assert services.asked["file"] == 1


async def test_the_file_is_right_where_the_catalogue_is_wrong(services, live, caplog):
    services.add(PICTURE.original, width=600, height=800)
    believed = await live.get_info(GUID)
    assert tuple(believed.size) == (600, 800)
    async with live.use_source(believed):
        pass
    found = await live.get_info(GUID)

    assert tuple(found.size) == (800, 600)
    assert found.version != believed.version
    assert "its original has 800x600" in caplog.text


async def test_what_was_found_out_holds_after_a_restart(services, museum):
    services.add(PICTURE.original, width=600, height=800)
    async with museum.live() as first:
        await lent(first)
        found = await first.get_info(GUID)
    async with museum.live() as second:
        assert await second.get_info(GUID) == found


async def test_an_original_is_upright_whatever_the_catalogue_says(services, live, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    PICTURE.picture.save(tmp_path / "turned.jpg", exif=exif)
    services.add((tmp_path / "turned.jpg").read_bytes(), file="turned.jpg", width=800, height=600)
    await lent(live)

    assert tuple((await live.get_info(GUID)).size) == (600, 800)


@pytest.mark.parametrize("size", [(300, 400), (200, 150), (401, 280)])
async def test_a_derivative_that_is_another_than_the_catalogue_says_is_not_lent(services, live, size, caplog):
    wrong = encode(PICTURE.picture.resize(size), "JPEG")
    services.add(PICTURE.original, width=800, height=600, derivatives={"400.jpg": (400, 300, wrong)})

    assert await lent(live, Dimensions(300, 225)) == PICTURE.original
    assert "does not fit" in caplog.text


@pytest.mark.parametrize("change", ["etag", "modified", "length", "document"])
async def test_versions_follow(services, original, live, change):
    before = await live.get_info(GUID)
    match change:
        case "etag":
            original.etag = "new"
        case "modified":
            original.modified += 1
        case "length":
            original.body += b"x"
        case _:
            services.documents[0]["derivatives"] = []

    assert (await live.get_info(GUID)).version != before.version


async def test_a_tag_counts_more_than_a_date(services, original, live):
    original.etag = "same"
    before = await live.get_info(GUID)
    original.modified += 1

    assert (await live.get_info(GUID)).version == before.version


async def test_without_stamps_the_bytes_tell(services, original, live):
    original.stamped = False
    before = await live.get_info(GUID)
    assert (await live.get_info(GUID)).version == before.version
    original.body = draw_image(GUID, 800, 600, seed=1).original

    assert (await live.get_info(GUID)).version != before.version
    assert await lent(live) == original.body


async def test_a_change_between_look_up_and_fetch_is_found(services, original, museum):
    async with museum.with_options(info_cache_ttl=1000).live() as profile:
        before = await profile.get_info(GUID)
        original.body, original.modified = draw_image(GUID, 800, 600, seed=1).original, original.modified + 9
        async with profile.use_source(before):
            pass

        assert (await profile.get_info(GUID)).version != before.version


# Originals.


async def test_an_original_is_streamed_without_being_kept(services, original, live):
    assert await live.resolve_original_size(GUID) == len(PICTURE.original)
    assert await streamed(live) == PICTURE.original
    assert (await live.get_status())["source_cache"]["entries"] == 0


async def test_a_kept_original_is_not_fetched_again(services, original, live):
    await lent(live)

    assert await streamed(live) == PICTURE.original
    assert services.asked["file"] == 1


async def test_an_original_of_a_size_that_nobody_tells_is_fetched(services, original, live):
    original.chunked, original.ranges, original.etag = True, False, "t"

    assert await live.resolve_original_size(GUID) == len(PICTURE.original)
    assert await streamed(live) == PICTURE.original


async def test_a_broken_stream_is_an_error(services, original, live):
    original.truncated = True

    assert (await failure(streamed(live))).status == 503


# Load.


async def test_two_hundred_are_one_fetch(services, original, museum):
    original.pause = 0.01
    async with museum.with_options(info_cache_ttl=1000).live() as profile:
        contents = await asyncio.gather(*(lent(profile) for _ in range(200)))

    assert set(contents) == {PICTURE.original}
    assert {kind: services.asked[kind] for kind in ("search", "access", "stamp", "file")} == {
        "search": 1,
        "access": 1,
        "stamp": 1,
        "file": 1,
    }


async def test_one_who_leaves_leaves_nothing(services, original, live):
    await lent(live)
    services.asked.clear()
    original.pause, original.modified = 0.5, original.modified + 1
    info = await live.get_info(GUID)
    before = Resources.now()

    async def ask():
        async with live.use_source(info):
            pytest.fail("it is too slow for that")

    task = asyncio.create_task(ask())
    while not services.asked["file"]:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    while services.open:
        await asyncio.sleep(0.01)

    left = [what for what in await before.left_behind_by_now() if what.startswith("task ")]
    assert left == []
    assert (await live.get_status())["source_cache"]["entries"] == 1


async def test_connections_are_limited(services, museum):
    for number in range(8):
        services.add(PICTURE.original, guid=f"g{number}", irn=number, width=800, height=600).pause = 0.01
    async with museum.with_options(mss_limit=2).live() as profile:
        tasks = [asyncio.create_task(lent(profile, name=f"g{number}")) for number in range(8)]
        most = 0
        while not all(task.done() for task in tasks):
            most = max(most, services.open)
            await asyncio.sleep(0.002)

        assert [await task for task in tasks] == [PICTURE.original] * 8
    assert 0 < most <= 2


# Status.


async def test_the_status(services, original, live):
    status = await live.get_status()

    assert status["es"].pop("response_time") >= 0
    assert status["es"] == {"status": "yellow"}
    assert status["mss_status"].pop("response_time") >= 0
    assert status["mss_status"] == {"status": "ok", "queue": 3}
    assert set(status["error_breakdown"].values()) == {0}
    assert status["source_cache"]["entries"] == 0


async def test_the_status_of_what_is_down(services, museum, unused_tcp_port):
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    async with museum.with_options(es_hosts=[nowhere], mss_url=nowhere).live() as profile:
        status = await profile.get_status()

    assert status["es"]["status"] == status["mss_status"]["status"] == "unreachable"
    assert status["es"]["error"]
    assert str(unused_tcp_port) not in str(status)


async def test_the_status_does_not_wait(services, live, monkeypatch):
    monkeypatch.setattr("iiif_server_mss.health.SECONDS", 0.05)
    services.pauses.update(health=5, status=5)
    status = await live.get_status()

    assert status["es"] == status["mss_status"] == {"status": "unreachable", "error": "TimeoutError"}

"""Bodies over a real server: from memory, and from an open file with and without sendfile."""

import asyncio
import os
import random
import re
import time
from contextlib import suppress

import psutil
import pytest
from aiohttp import ClientPayloadError, web

from iiif_server.caches.derivative import FileSlice
from iiif_server.caches.entry import header
from iiif_server.web.bodies import send_body
from iiif_server.web.middlewares import ErrorAnswers
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import Validators
from tests.support.server import free_port, serve_command
from tests.web.conftest import Client

PATH = "/files:photo.jpg/full/^1500,/0/default.png"
LENGTH = 3 << 20


@pytest.fixture(scope="module", params=["memory", "disk", "disk by sendfile"])
def body_client(request, module_server, images, tmp_path_factory):
    """A client, and the body that it gets from one place, at PATH."""
    scratch = tmp_path_factory.mktemp("bodies")
    config = scratch / "config.yaml"
    memory = "64 MiB" if request.param == "memory" else "0"
    config.write_text(
        f"cache_path: {scratch / 'cache'}\nmemory_cache_size: {memory}\nprofiles:\n  files:\n    type: disk\n"
        f"    rights: http://creativecommons.org/licenses/by/4.0/\n    path: {images}\n"
    )
    if request.param == "disk by sendfile":  # aiohttp's own command takes asyncio's loop; ours takes uvloop
        command = [
            "-m",
            "aiohttp.web",
            "-H",
            "127.0.0.1",
            "-P",
            str(free_port()),
            "iiif_server.app:create_app",
        ]
        server = module_server.command(command, {"IIIF_CONFIG": str(config), "PYTHONUNBUFFERED": "1"})
    else:
        server = module_server.command(serve_command("--config", str(config)))
    client = Client(server)
    first = client.get(PATH)
    assert first.status == 200
    if request.param == "memory":
        return client, first.body
    # Other bytes, so that it shows where an answer comes from.
    body = random.Random(7).randbytes(LENGTH)
    replace_entry(scratch / "cache", first.headers["ETag"].strip('"'), body)
    return client, body


def replace_entry(cache, key, body):
    """Put another body into the disk cache, once the first one is there."""
    deadline = time.monotonic() + 20
    while not (found := list(cache.glob(f"derivatives/**/{key}.iiif"))):
        assert time.monotonic() < deadline, "nothing was cached"
        time.sleep(0.05)
    replacement = cache / "replacement"
    replacement.write_bytes(header(key, body) + body)
    os.replace(replacement, found[0])


def test_the_whole_body(body_client):
    client, body = body_client
    for _ in range(2):
        answer = client.get(PATH)

        assert answer.status == 200
        assert answer.body == body
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "Content-Range" not in answer.headers


def ranges(total):
    """Headers, and the positions of the first byte and after the last one."""
    return [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, total),
        ("bytes=100-299", 100, 300),
        (f"bytes={total - 1}-", total - 1, total),
        (f"bytes={total - 70000}-{total + 5}", total - 70000, total),
        ("bytes=-1", total - 1, total),
        ("bytes=-300000", total - 300000, total),
        (f"bytes=-{total + 1}", 0, total),
        ("bytes=262143-262144", 262143, 262145),
    ]


def test_parts(body_client):
    client, body = body_client
    whole = client.get(PATH)
    for requested, start, stop in ranges(len(body)):
        answer = client.get(PATH, Range=requested)

        assert answer.status == 206, requested
        assert answer.body == body[start:stop], requested
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(body)}"
        assert answer.headers["Content-Length"] == str(stop - start)
        for name in ("ETag", "Cache-Control", "Last-Modified", "Content-Type", "Link", "Accept-Ranges"):
            assert answer.headers[name] == whole.headers[name]


def test_parts_make_the_whole(body_client):
    client, body = body_client
    step = len(body) // 7
    parts = [client.get(PATH, Range=f"bytes={at}-{at + step - 1}") for at in range(0, len(body), step)]

    assert b"".join(part.body for part in parts) == body


def test_nothing_there_is_416(body_client):
    client, body = body_client
    for requested in (f"bytes={len(body)}-", f"bytes={len(body) + 5}-{len(body) + 9}", "bytes=-0"):
        answer = client.get(PATH, Range=requested)

        assert answer.status == 416, requested
        assert answer.headers["Content-Range"] == f"bytes */{len(body)}"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize(
    "requested",
    ["bytes=5-4", "bytes=x-y", "items=0-1", "bytes=0-1,5-6", "bytes=", "0-1", f"bytes={'9' * 5000}-"],
)
def test_what_is_not_understood_gets_the_whole_body(body_client, requested):
    client, body = body_client
    answer = client.get(PATH, Range=requested)

    assert answer.status == 200
    assert answer.body == body


def test_conditions_come_before_the_range(body_client):
    client, _ = body_client
    whole = client.get(PATH)
    etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]

    for condition, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": f"W/{etag}"}, 412),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412),
        ({"If-None-Match": etag, "If-Range": '"other"'}, 304),
        ({"If-Match": etag}, 206),
        ({"If-Match": "*"}, 206),
        ({"If-Match": etag, "If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 206),
        ({"If-Unmodified-Since": modified}, 206),
        ({"If-None-Match": '"other"'}, 206),
        ({"If-Range": etag}, 206),
        ({"If-Range": modified}, 206),
        ({"If-Range": f"W/{etag}"}, 200),
        ({"If-Range": '"other"'}, 200),
        ({"If-Range": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200),
        ({"If-Range": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
    ):
        answer = client.ask("GET", PATH, {"Range": "bytes=1-4", **condition})
        assert answer.status == status, condition
        assert len(answer.body) == {200: len(whole.body), 206: 4, 304: 0}.get(status, len(answer.body))


def test_head_knows_no_range(body_client):
    client, _ = body_client
    for requested in ("bytes=1-4", "bytes=999999999-"):
        answer = client.ask("HEAD", PATH, {"Range": requested})

        assert answer.status == 200
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "Content-Range" not in answer.headers
        assert answer.body == b""


def test_one_connection_carries_part_after_part(body_client):
    """Each answer ends where its Content-Length says, or the next one would not be found."""
    client, body = body_client
    wanted = [(0, 9), (5, 300_000), (LENGTH * 9, LENGTH * 9 + 1), (7, 7)]
    requests = [
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-{last}\r\n"
        f"{'Connection: close' if (first, last) == wanted[-1] else 'X: y'}\r\n\r\n"
        for first, last in wanted
    ]
    received = client.raw("".join(requests).encode())

    for status, (first, last) in zip((206, 206, 416, 206), wanted, strict=True):
        head, _, received = received.partition(b"\r\n\r\n")
        (length,) = map(int, re.findall(rb"Content-Length: (\d+)", head))
        assert head.startswith(b"HTTP/1.1 %d" % status)
        if status == 206:
            assert received[:length] == body[first : last + 1]
        received = received[length:]
    assert received == b""


def test_no_file_stays_open(body_client):
    client, _ = body_client
    for requested in ("bytes=0-9", "bytes=99999999-", "bytes=0-1,3-4"):
        client.get(PATH, Range=requested)

    deadline = time.monotonic() + 10
    while open_derivatives(client.server.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_derivatives(client.server.pid) == []


def open_derivatives(pid):
    with suppress(psutil.NoSuchProcess):
        return [file.path for file in psutil.Process(pid).open_files() if file.path.endswith(".iiif")]


async def test_a_file_that_ends_early_ends_the_connection(aiohttp_client, tmp_path):
    """The client is told by the length that something is missing; it is not kept waiting for it."""
    path = tmp_path / "body"
    path.write_bytes(b"x" * 1000)

    async def get(request):
        file = await asyncio.to_thread(open, path, "rb", buffering=0)
        try:
            return await send_body(request, FileSlice(file, 10, 2000), Validators("tag", None), {})
        finally:
            file.close()

    app = web.Application(middlewares=[ErrorAnswers(RefusalLog()).answer])
    app.router.add_get("/", get)
    client = await aiohttp_client(app)
    async with client.get("/") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()
    async with client.get("/", headers={"Range": "bytes=5-14"}) as answer:
        assert await answer.read() == b"x" * 10

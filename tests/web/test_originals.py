"""Stored files over HTTP: status, headers, bytes, and what a server must not hand out."""

import asyncio
import hashlib
import os
import re
import socket
import time
from urllib.parse import quote

import psutil
import pytest
from aiohttp import ClientPayloadError, ClientTimeout

from iiif_server.testing.contract.names import hostile_names
from tests.support.server import eventually, free_port, serve_command
from tests.support.streaming import StreamingProfile
from tests.web.conftest import Client

PATH = "/files:photo.jpg/original"
LARGE = 9_000_001


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def client(request, module_server, images, tmp_path_factory):
    """A client of both loops: one sends files itself, with the other the system does."""
    with (images / "large.jpg").open("wb") as file:
        file.write((images / "photo.jpg").read_bytes())
        file.truncate(LARGE)
    config = tmp_path_factory.mktemp("originals") / "config.yaml"
    config.write_text(
        f"cache_path: {config.parent / 'cache'}\ndefault_profile: files\nprofiles:\n  files:\n"
        f"    type: disk\n    rights: http://creativecommons.org/licenses/by/4.0/\n"
        f"    path: {images}\n    cache_for: 60\n"
    )
    if request.param == "uvloop":
        return Client(module_server.command(serve_command("--config", str(config))))
    command = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(free_port()), "iiif_server.app:create_app"]
    environment = {"IIIF_CONFIG": str(config), "PYTHONUNBUFFERED": "1"}
    return Client(module_server.command(command, environment))


def test_the_file_and_its_headers(client, images):
    answer = client.get(PATH)
    content = (images / "photo.jpg").read_bytes()

    assert answer.status == 200
    assert answer.body == content
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="photo.jpg"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert re.fullmatch(r'"[0-9a-f]{40}"', answer.headers["ETag"])
    assert "Transfer-Encoding" not in answer.headers


def test_its_tag_is_no_derivatives(client):
    paths = ["/photo.jpg/full/max/0/default.jpg", "/photo.jpg/info.json", "/gray.png/original", PATH]

    assert len({client.get(path).headers["ETag"] for path in paths}) == 4


@pytest.mark.parametrize(
    ("path", "file", "media_type", "disposition"),
    [
        ("/a%2Fb%2Fdeep.png/original", "a/b/deep.png", "image/png", 'filename="deep.png"'),
        ("/files:with%20space.png/original", "with space.png", "image/png", 'filename="with space.png"'),
        (
            "/%C3%A9t%C3%A9%20%E2%98%83.png/original",
            "été ☃.png",
            "image/png",
            "filename=\"ete _.png\"; filename*=UTF-8''%C3%A9t%C3%A9%20%E2%98%83.png",
        ),
        ("/files:one:two.png/original", "one:two.png", "image/png", 'filename="one_two.png"'),
        ("/files:a,b;c.png/original", "a,b;c.png", "image/png", 'filename="a,b;c.png"'),
        ("/files:a%22b%5C.png/original", 'a"b\\.png', "image/png", 'filename="a_b_.png"'),
        ("/q%3F%23%5B%5D@+&=.png/original", "q?#[]@+&=.png", "image/png", 'filename="q_#[]@+&=.png"'),
        (
            "/100%25.png/original",
            "100%.png",
            "image/png",
            "filename=\"100_.png\"; filename*=UTF-8''100%25.png",
        ),
        ("/staying.png/original", "gray.png", "image/png", 'filename="staying.png"'),
        ("/pages.tif/original", "pages.tif", "image/tiff", 'filename="pages.tif"'),
        ("/pages.tif;page=2/original", "pages.tif", "image/tiff", 'filename="pages.tif"'),
        ("/mislabelled.gif/original", "photo.jpg", "image/jpeg", 'filename="mislabelled.gif"'),
        # What can't be shown can be had all the same, if it begins like an image.
        ("/broken.jpg/original", "broken.jpg", "image/jpeg", 'filename="broken.jpg"'),
    ],
)
def test_names_and_types(client, images, path, file, media_type, disposition):
    for name in ("a,b;c.png", 'a"b\\.png'):
        (images / name).write_bytes((images / "gray.png").read_bytes())
    (images / "mislabelled.gif").write_bytes((images / "photo.jpg").read_bytes())
    answer = client.get(path)

    assert answer.status == 200
    assert answer.body == (images / file).read_bytes()
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"] == f"attachment; {disposition}"
    assert answer.headers["ETag"]


def test_head_says_the_same(client, images):
    for path in (PATH, "/broken.jpg/original"):
        head, answer = client.ask("HEAD", path), client.get(path)

        assert (head.status, head.body) == (200, b"")
        assert set(head.headers) == set(answer.headers)
        for name in set(answer.headers) - {"Date", "X-Request-ID"}:
            assert head.headers[name] == answer.headers[name]


def test_conditions(client):
    answer = client.get(PATH)
    tag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]

    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"other", W/{tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200),
        ({"If-Match": tag}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412),
    ):
        for method in ("GET", "HEAD"):
            found = client.ask(method, PATH, headers)
            assert found.status == status, headers
        if status == 304:
            assert found.headers["ETag"] == tag
            assert found.headers["Cache-Control"] == "max-age=60"
            assert found.body == b""


@pytest.mark.parametrize("name", ["photo.jpg", "large.jpg"])
def test_ranges(client, images, name):
    path, content = f"/files:{name}/original", (images / name).read_bytes()
    answer = client.get(path)
    tag, modified, total = answer.headers["ETag"], answer.headers["Last-Modified"], len(content)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(content).digest()

    for requested, part in (
        ("bytes=0-0", content[:1]),
        ("bytes=100-", content[100:]),
        ("bytes=-7", content[-7:]),
        (f"bytes={total - 1}-{total + 50}", content[-1:]),
    ):
        found = client.get(path, Range=requested)
        assert (found.status, found.body) == (206, part)
        start = (
            total - len(part) if requested.startswith("bytes=-") else int(re.findall(r"\d+", requested)[0])
        )
        assert found.headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{total}"
        assert found.headers["ETag"] == tag
        assert found.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    beyond = client.get(path, Range=f"bytes={total}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{total}")
    for condition, status in (
        (tag, 206),
        (modified, 206),
        ('"other"', 200),
        (f"W/{tag}", 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
    ):
        assert client.get(path, Range="bytes=5-9", If_Range=condition).status == status, condition
    assert len(client.get(path, Range="bytes=0-1,4-5").body) == total


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files:nothing.jpg/original", 404),
        ("/other:photo.jpg/original", 404),
        ("/:photo.jpg/original", 404),
        ("/files:/original", 404),
        ("/files:a/original", 404),
        ("/files:photo%/original", 400),
        ("/files:%FF/original", 400),
        ("/files:a%00b/original", 400),
        ("/files:.hidden.png/original", 404),
        ("/files:leaving.png/original", 404),
        ("/files:..%2Foutside.png/original", 404),
        ("/photo.jpg;page=2/original", 404),
        ("/pages.tif;page=3/original", 404),
        # What is no image is not published, whatever else lies in the directory.
        ("/files:notes.txt/original", 422),
        ("/files:empty.jpg/original", 422),
        ("/iiif/3/photo.jpg/original", 404),
    ],
)
def test_errors_have_their_status_and_tell_no_secret(client, images, path, status):
    (images / "empty.jpg").touch()
    for method in ("GET", "HEAD"):
        answer = client.ask(method, path)

        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Disposition" not in answer.headers
        assert str(images.parent) not in answer.text
        assert answer.text != "no image"


def test_hostile_names_get_nothing(client, images):
    outside = images.parent / "outside.png"
    for name in hostile_names("photo.jpg", outside):
        segment = quote(name, safe="", errors="surrogatepass")
        answer = client.get(f"/files:{segment}/original")

        assert answer.status in (400, 404, 414, 422), name[:200]
        assert b"PNG" not in answer.body
        assert str(images.parent) not in answer.text


def test_what_is_no_file_holds_up_nobody(client, images):
    pipe = images / "pipe.jpg"
    if not pipe.exists():
        os.mkfifo(pipe)

    assert client.get("/pipe.jpg/original").status == 404


def test_clients_that_go_or_read_slowly_leave_nothing_open(client):
    """The file is closed when the client has gone, and others are served meanwhile."""
    server = client.server
    printed = len(server.output())
    request = b"GET /large.jpg/original HTTP/1.1\r\nHost: x\r\n\r\n"
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(8)]
    for connection in connections:
        connection.sendall(request)
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert client.get(PATH).status == 200
    assert len(open_files(server.pid, "large.jpg")) == 8
    for connection in connections:
        connection.close()

    deadline = time.monotonic() + 10
    while open_files(server.pid, "large.jpg") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_files(server.pid, "large.jpg") == []
    assert "Traceback" not in server.output()[printed:]


def open_files(pid, name):
    return [file.path for file in psutil.Process(pid).open_files() if file.path.endswith(name)]


async def test_what_is_not_lent_is_streamed(iiif_app, streaming):
    async with iiif_app(streaming) as app:
        content = await asyncio.to_thread((streaming.directory / "folder" / "image.tif").read_bytes)
        answer = await app.get("/streaming:image.tif/original")
        part = await app.get("/streaming:image.tif/original", Range="bytes=5-9")
        current = await app.get("/streaming:image.tif/original", If_None_Match=answer.headers["ETag"])
        tiny = await app.get("/streaming:tiny.png/original")
        async with app.session.head(f"{app.url}/streaming:image.tif/original") as head:
            own = {name: head.headers[name] for name in ("Date", "X-Request-ID")}
            assert dict(head.headers) == dict(answer.headers) | own

    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Type"] == "image/tiff"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="image.tif"'
    assert answer.headers["Accept-Ranges"] == "none"
    assert (part.status, part.body) == (200, content)
    assert current.status == 304
    assert tiny.status == 200
    assert tiny.body.startswith(b"\x89PNG")
    assert StreamingProfile.open_streams == 0


@pytest.mark.parametrize("name", ["short.tif", "long.tif", "breaking.tif", "dropping.tif"])
async def test_a_stream_that_is_not_whole_ends_the_connection(iiif_app, streaming, caplog, name):
    """The client never gets as many bytes as were promised, so that it knows; so does the operator."""
    async with iiif_app(streaming) as app:
        async with app.session.get(f"{app.url}/streaming:{name}/original") as answer:
            assert answer.status == 200
            with pytest.raises(ClientPayloadError):
                await answer.read()
        assert (await app.get("/streaming:image.tif/original")).status == 200

    assert f"GET /streaming:{name}/original failed amid its answer" in caplog.text
    assert StreamingProfile.open_streams == 0


async def test_a_stream_that_can_not_begin_is_an_error(iiif_app, streaming):
    async with iiif_app(streaming) as app:
        missing = await app.get("/streaming:missing.tif/original")
        damaged = await app.get("/streaming:damaged.png/original")
        notes = await app.get("/streaming:notes.txt/original")
        refusing = await app.get("/streaming:refusing.tif/original")

    assert (refusing.status, refusing.body) == (502, b"The store of this file broke the connection.\n")
    assert missing.status == 404
    # Nobody knows which version of it that is: it has no tag.
    assert (damaged.status, damaged.headers["Content-Type"], len(damaged.body)) == (200, "image/png", 5008)
    assert "ETag" not in damaged.headers
    assert notes.status == 422
    assert StreamingProfile.open_streams == 0


async def test_a_client_that_leaves_closes_the_stream(iiif_app, streaming):
    async with iiif_app(streaming) as app:
        for name in ("image.tif", "stuck.tif"):
            async with app.session.get(f"{app.url}/streaming:{name}/original") as answer:
                await answer.content.readany()
                if name == "stuck.tif":  # the other one may have been sent whole
                    assert StreamingProfile.open_streams == 1
                answer.close()
            await eventually(lambda: not StreamingProfile.open_streams, 10, "the stream is closed")

    assert StreamingProfile.open_streams == 0


async def test_a_client_that_takes_nothing_is_let_go(iiif_app, large, caplog):
    """After ``send_timeout`` seconds; one that takes a little now and then is not."""
    async with iiif_app(large, send_timeout=1.5) as app:
        port = int(app.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /disk:large.jpg/original HTTP/1.1\r\nHost: x\r\n\r\n")
        taken = len(await reader.read(1))
        await eventually(lambda: bool(_open_here("large.jpg")), 10, "the file is being sent")
        await eventually(lambda: not _open_here("large.jpg"), 20, "the file is closed")
        try:
            while piece := await reader.read(1 << 20):
                taken += len(piece)
        except ConnectionError:
            pass
        writer.close()
        slow = ClientTimeout(total=60)
        async with app.session.get(f"{app.url}/disk:large.jpg/original", timeout=slow) as answer:
            whole = 0
            for _ in range(5):
                await asyncio.sleep(0.4)
                whole += len(await answer.content.readexactly(4 << 20))
            whole += len(await answer.read())

    assert taken < 64 << 20
    assert "Traceback" not in caplog.text
    assert whole == 64 << 20


def _open_here(name):
    return open_files(psutil.Process().pid, name)

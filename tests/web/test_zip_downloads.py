"""``/originals`` over HTTP: what may be asked for, what comes, and how it ends."""

import asyncio
import io
import json
import shutil
import subprocess
import zipfile
from urllib.parse import quote, urlencode

import pytest
from aiohttp import ClientPayloadError

from iiif_server.testing.contract.names import hostile_names
from tests.support.server import eventually
from tests.support.streaming import StreamingProfile

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def opened(answer):
    assert answer.status == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    return archive


def names(answer):
    with opened(answer) as archive:
        return archive.namelist()


def test_the_archive_and_its_headers(client, images):
    answer = client.get("/originals?identifiers=files:photo.jpg,gray.png")

    with opened(answer) as archive:
        assert archive.namelist() == ["photo.jpg", "gray.png"]
        for name in archive.namelist():
            assert archive.read(name) == (images / name).read_bytes()
            assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == "attachment; filename=originals.zip"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Accept-Ranges"] == "none"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" not in answer.headers


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_twenty_files_in_the_eyes_of_unzip(client, images, tmp_path):
    for number in range(20):
        (images / f"copy {number} ☃.png").write_bytes((images / "gray.png").read_bytes())
    identifiers = ",".join(quote(f"copy {number} ☃.png") for number in range(20))
    answer = client.get(f"/originals?identifiers={identifiers}")
    path = tmp_path / "originals.zip"
    path.write_bytes(answer.body)
    found = subprocess.run(["unzip", "-t", str(path)], capture_output=True, check=False, text=True)

    assert len(names(answer)) == 20
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert found.returncode == 0, found.stdout + found.stderr


def test_head_says_the_same(client):
    path = "/originals?identifiers=photo.jpg,pages.tif"
    head, answer = client.ask("HEAD", path), client.get(path)

    assert (head.status, head.body) == (200, b"")
    for name in set(answer.headers) - {"Date", "X-Request-ID"}:
        assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifiers=photo.jpg", ["photo.jpg"]),
        # Repetitions are dropped, pages are of one file.
        ("identifiers=photo.jpg,files:photo.jpg,files%3Aphoto.jpg", ["photo.jpg"]),
        ("identifiers=pages.tif,pages.tif;page=2,pages.tif;page=9", ["pages.tif"]),
        ("identifiers=photo.jpg&identifiers=gray.png", ["photo.jpg", "gray.png"]),
        ("identifiers=,photo.jpg,,", ["photo.jpg"]),
        # A comma that is part of a name is encoded, so is a plus; a plus is a space.
        ("identifiers=a%2Cb.png,a.png", ["a,b.png", "a.png"]),
        ("identifiers=with+space.png,with%20space.png", ["with space.png"]),
        ("identifiers=one%2Btwo.png", ["one+two.png"]),
        ("identifiers=a%2Fb%2Fdeep.png,a/b/deep.png", ["deep.png"]),
        ("identifiers=%C3%A9t%C3%A9%20%E2%98%83.png,100%25.png", ["été ☃.png", "100%.png"]),
        ("identifiers=files:one:two.png,q%3F%23%5B%5D@%2B%26%3D.png", ["one_two.png", "q_#[]@+&=.png"]),
        # Equal names are told apart, whatever directories they were in.
        ("identifiers=gray.png,sub%2Fgray.png,sub%2FGRAY.PNG", ["gray.png", "gray (2).png", "GRAY (3).PNG"]),
        (
            "identifiers=sub%2FGRAY.PNG,a%2Fb%2Fdeep.png&use_original_filenames=false",
            ["sub_GRAY.png", "a_b_deep.png"],
        ),
        ("identifiers=photo.jpg&use_original_filenames=TRUE&stop_on_error=1", ["photo.jpg"]),
        # What there is not is left out; what can't be shown is in it.
        ("identifiers=nothing.jpg,photo.jpg,.hidden.png,broken.jpg", ["photo.jpg", "broken.jpg"]),
        ("identifiers=notes.txt,photo.jpg&stop_on_error=false", ["photo.jpg"]),
    ],
)
def test_what_is_in_it(client, images, query, expected):
    (images / "sub").mkdir(exist_ok=True)
    for name in ("a,b.png", "a.png", "one+two.png", "sub/gray.png", "sub/GRAY.PNG"):
        (images / name).write_bytes((images / "gray.png").read_bytes())

    assert names(client.get(f"/originals?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "There are no identifiers"),
        ("identifiers=", 400, "There are no identifiers"),
        ("identifiers=,,", 400, "There are no identifiers"),
        ("other=photo.jpg", 400, "There are no identifiers"),
        ("identifiers=photo.jpg&stop_on_error=maybe", 400, "stop_on_error is not valid"),
        ("identifiers=photo.jpg&use_original_filenames=", 400, "use_original_filenames is not valid"),
        ("identifiers=photo%", 400, "incomplete percent escape"),
        ("identifiers=%FF", 400, "not UTF-8"),
        ("identifiers=a%00b", 400, "control characters"),
        ("identifiers=" + "x" * 1025, 400, "longer than"),
        ("identifiers=" + ",".join(map(str, range(21))), 400, "Too many images requested (max: 20)"),
        ("identifiers=photo.jpg,other:photo.jpg", 404, "There is no such profile"),
        ("identifiers=nothing.jpg,..%2Foutside.png,leaving.png", 404, "There is none of these images"),
        ("identifiers=photo.jpg%2Cgray.png", 404, "not as %2C"),
        ("identifiers=photo.jpg,notes.txt", 422, "not an image"),
    ],
)
def test_what_is_refused(client, images, query, status, text):
    for method in ("GET", "HEAD"):
        answer = client.ask(method, f"/originals?{query}")

        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert text in answer.text or method == "HEAD"
        assert str(images.parent) not in answer.text


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (FORM, urlencode({"identifiers": "photo.jpg,gray.png"}), ["photo.jpg", "gray.png"]),
        (FORM, "identifiers=photo.jpg&identifiers=gray.png&x=y", ["photo.jpg", "gray.png"]),
        # In a form, an identifier stands as it does in an address.
        (FORM, urlencode({"identifiers": "100%25.png,with space.png"}), ["100%.png", "with space.png"]),
        (f"{FORM}; charset=utf-8", urlencode({"identifiers": "été ☃.png"}), ["été ☃.png"]),
        (FORM, urlencode({"identifiers": "gray.png", "use_original_filenames": "no"}), ["gray.png"]),
        (JSON, json.dumps({"identifiers": ["100%.png", "photo.jpg", ""]}), ["100%.png", "photo.jpg"]),
        (JSON, json.dumps({"identifiers": ["a,c.png", "pages.tif;page=2"]}), ["a,c.png", "pages.tif"]),
        (JSON, json.dumps({"identifiers": ["files:été ☃.png"], "stop_on_error": False}), ["été ☃.png"]),
    ],
)
def test_posts(client, images, content_type, body, expected):
    (images / "a,c.png").write_bytes((images / "gray.png").read_bytes())

    assert names(client.post("/originals", body, content_type)) == expected


def test_the_body_of_a_post_may_add_to_its_query(client):
    answer = client.post("/originals?identifiers=photo.jpg&stop_on_error=no", b"{}", JSON)
    overruled = client.post(
        "/originals?identifiers=photo.jpg&stop_on_error=no", b'{"stop_on_error": true}', JSON
    )
    empty = client.post("/originals?identifiers=photo.jpg", b"", FORM)

    assert names(answer) == names(overruled) == names(empty) == ["photo.jpg"]
    assert "Content-Length" not in answer.headers
    assert "Content-Length" in overruled.headers


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (FORM, "", 400),
        (FORM, "identifiers=photo%", 400),
        (FORM, urlencode({"identifiers": "100%.png"}), 400),
        (FORM, "identifiers=photo.jpg&stop_on_error=x", 400),
        (FORM, b"identifiers=\xff\xfe", 404),
        (JSON, "", 400),
        (JSON, "{", 400),
        (JSON, "[]", 400),
        (JSON, b"\xff\xfe\xff", 400),
        (JSON, "[" * 100_000, 400),
        (JSON, '{"identifiers": "photo.jpg"}', 400),
        (JSON, '{"identifiers": [1]}', 400),
        (JSON, '{"identifiers": []}', 400),
        (JSON, '{"identifiers": ["\\ud800"]}', 400),
        (JSON, '{"identifiers": ["a\\u0000"]}', 400),
        (JSON, '{"identifiers": ["photo.jpg"], "stop_on_error": 3}', 400),
        (JSON, json.dumps({"identifiers": [str(number) for number in range(21)]}), 400),
        (JSON, json.dumps({"identifiers": ["a"] * 200_000}), 400),
        (FORM, "identifiers=" + ",".join(f"{number:x}" for number in range(150_000)), 400),
        (FORM, "&" * 1_000_000, 400),
        ("text/plain", "photo.jpg", 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        (JSON, '{"identifiers": ["' + "x" * 1_100_000 + '"]}', 413),
    ],
)
def test_posts_that_are_refused(client, content_type, body, status):
    answer = client.post("/originals", body, content_type)

    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"


def test_hostile_names_get_nothing(client, images):
    hostile = hostile_names("photo.jpg", images.parent / "outside.png")
    for start in range(0, len(hostile), 15):
        for name in hostile[start : start + 15]:
            body = json.dumps({"identifiers": [f"files:{name}", "files:photo.jpg"]})
            answer = client.post("/originals", body, JSON)

            assert answer.status in (200, 400, 422), name[:200]
            if answer.status == 200:
                assert names(answer) == ["photo.jpg"]
            else:
                assert str(images.parent) not in answer.text


def test_methods(client):
    preflight = client.ask(
        "OPTIONS", "/originals", {"Origin": "https://x.example", "Access-Control-Request-Method": "POST"}
    )
    refused = client.ask("PUT", "/originals", {"Content-Length": "0"})

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, OPTIONS"
    assert refused.status == 405
    assert refused.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert client.ask("POST", "/photo.jpg", {"Content-Length": "0"}).headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "name", ["short.tif", "long.tif", "breaking.tif", "dropping.tif", "missing.tif", "refusing.tif"]
)
async def test_a_file_that_fails_ends_it_all(iiif_app, streaming, name):
    """The client sees a download that broke off."""
    path = f"/originals?identifiers=streaming:image.tif,streaming:{name},streaming:other.tif"
    async with iiif_app(streaming) as app:
        for _ in range(2):
            async with app.session.get(app.url + path) as answer:
                assert answer.status == 200
                assert int(answer.headers["Content-Length"]) > 3 * 180_000
                with pytest.raises(ClientPayloadError):
                    await answer.read()

    assert StreamingProfile.open_streams == 0


@pytest.mark.parametrize(("name", "status"), [("missing.tif", 404), ("refusing.tif", 502)])
async def test_what_fails_before_the_first_byte_is_told(iiif_app, streaming, name, status):
    async with iiif_app(streaming) as app:
        answer = await app.get(f"/originals?identifiers=streaming:{name},streaming:image.tif")

    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize(
    ("name", "left"),
    [("short.tif", True), ("breaking.tif", True), ("missing.tif", False), ("refusing.tif", False)],
)
async def test_a_file_that_fails_may_end_short_or_be_left_out(iiif_app, streaming, caplog, name, left):
    path = (
        f"/originals?identifiers=streaming:image.tif,streaming:{name},streaming:other.tif&stop_on_error=false"
    )
    async with iiif_app(streaming) as app:
        content = await asyncio.to_thread((streaming.directory / "folder" / "other.tif").read_bytes)
        answer = await app.get(path)

    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["image.tif", name, "other.tif"] if left else ["image.tif", "other.tif"]
        assert archive.read("image.tif") == archive.read("other.tif") == content
        if left:
            assert content.startswith(archive.read(name))
            assert len(archive.read(name)) < len(content)
    assert "Content-Length" not in answer.headers
    assert f"streaming:{name} is not whole" in caplog.text
    assert StreamingProfile.open_streams == 0


async def test_a_client_that_leaves_frees_its_place(iiif_app, streaming):
    """More downloads than may run at a time are told to come back; the place of one that left is free."""
    path = "/originals?identifiers=streaming:"
    async with iiif_app(streaming, download_max_parallel=1) as app:
        for name in ("stuck.tif", "image.tif,streaming:stuck.tif"):
            async with app.session.get(f"{app.url}{path}{name}") as answer:
                await answer.content.readany()
                busy = await app.get(f"{path}image.tif")
                assert busy.status == 503
                assert int(busy.headers["Retry-After"]) > 0
                assert (await app.get("/streaming:image.tif/original")).status == 200
                answer.close()
            await eventually(lambda: not StreamingProfile.open_streams, 10, "the stream is closed")
            assert (await app.get(f"{path}image.tif")).status == 200
        assert (await app.get(f"{path}nothing.tif")).status == 404
        assert (await app.get(f"{path}image.tif")).status == 200


async def test_limits_are_configured(iiif_app, streaming):
    size = await asyncio.to_thread(lambda: (streaming.directory / "folder" / "image.tif").stat().st_size)
    path = "/originals?identifiers=streaming:image.tif"
    async with iiif_app(streaming, download_max_files=2, download_max_size=2 * size - 1) as app:
        one = await app.get(path)
        two = await app.get(f"{path},streaming:other.tif")
        three = await app.get(f"{path},streaming:x,streaming:y")
        unknown = await app.get(f"{path},streaming:nothing.tif")
    async with iiif_app(streaming, download_max_size=0) as app:
        unlimited = await app.get(f"{path},streaming:other.tif")

    assert [answer.status for answer in (one, two, three, unknown, unlimited)] == [200, 400, 400, 200, 200]
    assert b"(max: 2)" in three.body
    assert f"(max: {2 * size - 1})".encode() in two.body


async def test_names_that_were_left_out_are_in_the_log(iiif_app, streaming, caplog):
    caplog.set_level("INFO")
    async with iiif_app(streaming) as app:
        await app.get("/originals?identifiers=streaming:image.tif,streaming:no%2Csuch.tif")

    assert "zip: left out streaming:no%2Csuch.tif" in caplog.text


async def test_a_body_that_does_not_come_in_time(iiif_app, streaming, monkeypatch):
    monkeypatch.setattr("iiif_server.web.zip_requests._BODY_SECONDS", 0.1)
    async with iiif_app(streaming) as app:
        port = int(app.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /originals HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\nConnection: close\r\n\r\n{"
        )
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_archive_that_nobody_takes_is_ended(iiif_app, large, caplog):
    """It would keep its place from others."""
    path = "/originals?identifiers=disk:large.jpg"
    async with iiif_app(large, send_timeout=1, download_max_parallel=1) as app:
        port = int(app.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await reader.read(4) == b"HTTP"
        assert (await app.get(path)).status == 503
        async with asyncio.timeout(30):
            while (await app.get(path)).status == 503:
                await asyncio.sleep(0.2)
        writer.close()

    assert "Traceback" not in caplog.text

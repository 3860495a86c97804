"""Every error has an answer: with its text, for every origin, never cached, and without our internals."""

import json
import logging

import pytest
from aiohttp import ClientPayloadError, web

from iiif_server import errors
from iiif_server.web import refusals
from iiif_server.web.middlewares import ErrorAnswers
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import add_common_headers

FAILURES: dict[str, Exception] = {
    "400": errors.InvalidRequest("The region is not valid.", log="secret"),
    "404": errors.ImageNotFound("There is no image of this name.", log="secret"),
    "405": web.HTTPMethodNotAllowed("PUT", ["GET", "HEAD"]),
    "412": web.HTTPPreconditionFailed(),
    "413": errors.SourceTooLarge("The source is too large.", log="secret"),
    "413 of the request": web.HTTPRequestEntityTooLarge(1, 2),
    "416": web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": "bytes */7"}),
    "422": errors.UnreadableSource("The source is damaged.", log="secret"),
    "500": errors.RenderFailed("The image could not be made.", log="secret"),
    "500 unforeseen": RuntimeError("secret"),
    "500 of a profile's connection": ConnectionRefusedError("secret"),
    "501": errors.UnsupportedFeature("Upscaling is not offered.", log="secret"),
    "503": errors.ServerBusy("The server is busy.", log="secret", retry_after=3),
    "503 of a download": errors.ServerBusy("Too many downloads.", retry_after=3),
    "504": errors.TaskTimeout("It took too long.", log="secret"),
}


@pytest.fixture
async def client(aiohttp_client):
    """Of an application whose handler fails as its path says."""

    async def fail(request):
        raise FAILURES[request.match_info["name"]]

    async def begin(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"begun")
        raise RuntimeError("secret")

    async def redirect(request):
        raise web.HTTPSeeOther("/elsewhere")

    app = web.Application(middlewares=[ErrorAnswers(RefusalLog()).answer])
    app.on_response_prepare.append(add_common_headers)
    app.router.add_get("/fail/{name}", fail)
    app.router.add_get("/begin", begin)
    app.router.add_get("/redirect", redirect)
    return await aiohttp_client(app)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", FAILURES)
async def test_errors(client, name, method):
    async with client.request(method, f"/fail/{name}") as answer:
        text = await answer.text()
        assert answer.status == int(name[:3])
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Server"] == "iiif-server"
        assert "secret" not in text
        assert "Traceback" not in text
        assert bool(text) is (method == "GET")
        assert answer.headers.get("Retry-After") == ("3" if name.startswith("503") else None)
        assert answer.headers.get("Content-Range") == ("bytes */7" if name == "416" else None)
        assert answer.headers.get("Allow") == ("GET, HEAD, OPTIONS" if name == "405" else None)


@pytest.mark.parametrize("name", FAILURES)
async def test_errors_as_json(client, name):
    async with client.get(f"/fail/{name}", headers={"Accept": "application/json"}) as answer:
        document = json.loads(await answer.text())
        assert document["status"] == answer.status == int(name[:3])
        assert document["error"]
        assert "secret" not in document["error"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/", 404)])
async def test_no_such_address(client, path, status):
    async with client.get(path) as answer:
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_redirect_is_no_error(client):
    async with client.get("/redirect", allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/elsewhere"


async def test_an_answer_that_has_begun_is_not_followed_by_another(client, caplog):
    """The connection ends, short of the length that was promised, and nothing more was written to it."""
    with caplog.at_level(logging.ERROR):
        async with client.get("/begin") as answer:
            assert answer.status == 200
            assert await answer.content.readexactly(5) == b"begun"
            with pytest.raises(ClientPayloadError):
                await answer.content.read()
    assert "GET /begin failed amid its answer" in caplog.text


@pytest.mark.parametrize("path", ["/fail/404", "/nowhere", "/"])
async def test_a_preflight_is_answered_at_every_address(client, path):
    headers = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    async with client.options(path, headers=headers) as answer:
        assert answer.status == 204
        assert await answer.read() == b""
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Max-Age"] == "86400"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
        assert methods == ["GET", "HEAD", "OPTIONS"]
        allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"*", "Authorization", "Range", "If-Range", "If-None-Match", "If-Match"} <= set(allowed)


async def test_refusals_are_logged_once_a_while_for_each_reason(client, caplog, monkeypatch):
    """Under a flood, a line for each would cost more than the refusal; other errors have a line each."""
    monkeypatch.setattr(refusals, "_LOG_SECONDS", 3600)
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            for name in ("503", "503 of a download", "422"):
                async with client.get(f"/fail/{name}") as answer:
                    assert answer.status == int(name[:3])
    found = [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name.startswith("iiif_server")
    ]
    assert found.count(("INFO", "GET /fail/422: 422 secret")) == 5
    assert [line for line in found if "503" in line[1]] == [
        ("WARNING", "GET /fail/503: 503 secret"),
        ("WARNING", "GET /fail/503%20of%20a%20download: 503 Too many downloads."),
    ]

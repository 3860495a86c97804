"""Every request has an id, a line if wanted, and an end that is counted, however it ends."""

import asyncio
import json
import logging
import re
import socket
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from iiif_server.telemetry.lines import FIELDS, JsonFormatter
from iiif_server.telemetry.logs import log_accesses
from iiif_server.telemetry.metrics import Metrics, exposition
from iiif_server.web.middlewares import ErrorAnswers
from iiif_server.web.observe import Observer
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import add_common_headers
from iiif_server.web.urls import PublicUrls
from tests.support.pictures import drawn_picture
from tests.support.server import eventually

NEW_ID = re.compile("[0-9a-f]{16}")
LOCAL = (ip_network("127.0.0.0/8"),)
logger = logging.getLogger("iiif_server.profile.plants")


class Site:
    """An observed application whose handlers end in every way there is."""

    def __init__(self, aiohttp_client, **options):
        self._make_client = aiohttp_client
        self.metrics = Metrics()
        settings = {"access_log": True, "server_timing": True} | options
        urls = PublicUrls(None, settings.pop("trusted", ()))
        self.observer = Observer(self.metrics, urls, frozenset({"plants"}), "plants", **settings)
        app = web.Application(middlewares=[self.observer.observe, ErrorAnswers(RefusalLog()).answer])
        app.on_response_prepare.extend((add_common_headers, self.observer.tell))
        app.router.add_get("/{identifier}/info.json", self.answer)
        app.router.add_get("/status", self.stream)
        app.router.add_get("/static/{file}", self.wait)
        app.router.add_get("/metrics", self.redirect)
        app.router.add_get("/health", self.fail)
        self.app = app
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def client(self):
        log_accesses(True)
        return await self._make_client(self.app, server_kwargs={"handler_cancellation": True})

    async def answer(self, request):
        logger.warning("asked for %s", request.match_info["identifier"])
        return web.Response(text="hello")

    async def stream(self, request):
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(bytes(1000))
        self.began.set()
        await self.go_on.wait()
        raise RuntimeError("amid it")

    async def wait(self, request):
        self.began.set()
        await self.go_on.wait()
        return web.Response()

    async def redirect(self, request):
        raise web.HTTPSeeOther("/elsewhere")

    async def fail(self, request):
        raise RuntimeError("secret")

    def count(self, name, **labels):
        for family in text_string_to_metric_families(exposition(self.metrics).decode()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0

    async def counted(self, name="iiif_requests_total", **labels):
        await eventually(lambda: self.count(name, **labels) > 0, 10, f"{name} {labels}")
        assert self.observer.statistics() == {"in_progress": 0}


@pytest.fixture
def site(aiohttp_client):
    return lambda **options: Site(aiohttp_client, **options)


def accesses(caplog):
    return [getattr(r, FIELDS) for r in caplog.records if r.name == "iiif_server.access"]


@contextmanager
def raw_connection(client, path):
    """A client that sends a request, and can leave."""
    with socket.create_connection((client.host, client.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield connection


async def test_an_answer_has_an_id_of_its_own(site):
    client = await site().client()
    ids = []
    for path in ("/a/info.json", "/no/such/address", "/health"):
        async with client.get(path) as answer:
            ids.append(answer.headers["X-Request-ID"])
    async with client.options("/a/info.json") as answer:
        ids.append(answer.headers["X-Request-ID"])
    async with client.get("/metrics", allow_redirects=False) as answer:
        assert answer.status == 303
        ids.append(answer.headers["X-Request-ID"])

    assert len(set(ids)) == 5
    assert all(map(NEW_ID.fullmatch, ids))


@pytest.mark.parametrize(
    ("trusted", "given", "expected"),
    [
        (LOCAL, "abc-123", "abc-123"),
        (LOCAL, "a b<c>", "abc"),
        (LOCAL, "x" * 1000, "x" * 128),
        (LOCAL, "<>", NEW_ID),
        (LOCAL, "", NEW_ID),
        ((), "abc-123", NEW_ID),
    ],
)
async def test_only_a_trusted_proxy_gives_ids(site, trusted, given, expected):
    client = await site(trusted=trusted).client()
    async with client.get("/a/info.json", headers={"X-Request-ID": given}) as answer:
        found = answer.headers["X-Request-ID"]

    assert found == expected if isinstance(expected, str) else expected.fullmatch(found)


async def test_every_line_of_a_request_has_its_id(site, caplog):
    caplog.set_level(logging.INFO)
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    keep = Keep()
    keep.setFormatter(JsonFormatter())
    logging.getLogger("iiif_server").addHandler(keep)
    try:
        client = await site().client()
        async with client.get("/one/info.json") as answer:
            first = answer.headers["X-Request-ID"]
        async with client.get("/two/info.json") as answer:
            second = answer.headers["X-Request-ID"]
        await eventually(lambda: len(lines) == 4, 10, "four lines")
    finally:
        logging.getLogger("iiif_server").removeHandler(keep)

    assert [line["request_id"] for line in lines] == [first, first, second, second]
    assert [line["logger"] for line in lines[:2]] == ["iiif_server.profile.plants", "iiif_server.access"]


async def test_the_access_log(site, caplog):
    client = await site(trusted=LOCAL).client()
    path = "/plants:a%2Fb%0A/info.json?download=x&token=secret"
    headers = {"X-Forwarded-For": "203.0.113.9", "Authorization": "secret", "Cookie": "secret"}
    async with client.get(path, headers=headers) as answer:
        assert answer.status == 200
    await eventually(lambda: bool(accesses(caplog)), 10, "a line")
    (fields,) = accesses(caplog)

    assert 0 < fields.pop("duration_ms") < 60_000
    assert fields == {
        "method": "GET",
        "path": "/plants:a%2Fb%0A/info.json?download=x&…",
        "status": 200,
        "bytes": 5,
        "client": "203.0.113.9",
        "kind": "info",
        "profile": "plants",
        "tier": "",
    }
    assert "secret" not in caplog.text


async def test_without_an_access_log_there_are_no_lines_but_counts(site, caplog):
    site = site(access_log=False)
    client = await site.client()
    async with client.get("/a/info.json") as answer:
        assert answer.status == 200
    await site.counted(kind="info", status="200")

    assert accesses(caplog) == []


@pytest.mark.parametrize(
    ("path", "profile"),
    [
        ("/plants:a/info.json", "plants"),
        ("/a/info.json", "plants"),
        ("/plants%3Aa/info.json", "plants"),
        ("/stranger:a/info.json", ""),
    ],
)
async def test_only_configured_profiles_are_labels(site, path, profile):
    site = site()
    client = await site.client()
    async with client.get(path) as answer:
        assert answer.status == 200

    await site.counted(kind="info", profile=profile, method="GET")


async def test_uncommon_methods_are_no_labels(site):
    site = site()
    client = await site.client()
    async with client.request("PROPFIND", "/a/info.json") as answer:
        assert answer.status == 405

    await site.counted(kind="other", method="other", status="405")


async def test_a_failure_is_counted_with_its_status(site):
    site = site()
    client = await site.client()
    async with client.get("/health") as answer:
        assert answer.status == 500

    await site.counted(kind="health", status="500")


async def test_a_client_that_leaves_before_an_answer(site, caplog):
    site = site()
    client = await site.client()
    with raw_connection(client, "/static/a"):
        await site.began.wait()
    await site.counted(kind="static", status="499")
    await site.counted("iiif_responses_aborted_total", kind="static")

    assert [fields["status"] for fields in accesses(caplog)] == [499]


async def test_a_client_that_leaves_amid_an_answer(site, caplog):
    """It is counted with the status that was sent, and the bytes that were written."""
    site = site()
    client = await site.client()
    with raw_connection(client, "/status"):
        await site.began.wait()
    await site.counted(kind="status", status="200")
    await site.counted("iiif_responses_aborted_total", kind="status")

    assert [fields["bytes"] < 5000 for fields in accesses(caplog)] == [True]


async def test_an_error_amid_an_answer(site, caplog):
    """The client learns it by the end of the connection, and the log has why."""
    site = site()
    client = await site.client()
    with raw_connection(client, "/status") as connection:
        await site.began.wait()
        site.go_on.set()
        await site.counted("iiif_responses_aborted_total", kind="status")
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.startswith(b"HTTP/1.1 200 ")
    assert len(received) < 10_000  # of a million
    assert [
        "failed amid its answer" in record.getMessage() for record in caplog.records if record.exc_info
    ] == [True]


async def test_requests_on_one_connection_are_told_apart(site):
    """Sent at once, one after the other."""
    site = site()
    client = await site.client()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET /a/info.json HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    received = b""
    while received.count(b"hello") < 3:
        received += await reader.read(65536)
    writer.close()
    await writer.wait_closed()
    ids = re.findall(rb"X-Request-ID: (\w+)", received)

    assert len(set(ids)) == 3
    await eventually(lambda: site.count("iiif_requests_total", kind="info") == 3, 10, "three counted")


@pytest.mark.parametrize("path", ["/a/info.json?timing", "/a/info.json?timing=1", "/health?timing=true"])
async def test_server_timing_on_request(site, path):
    client = await site().client()
    async with client.get(path) as answer:
        assert re.fullmatch(r"total;dur=\d+\.\d{3}", answer.headers["Server-Timing"])
        assert answer.headers["Timing-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/a/info.json", "/a/info.json?timing=0", "/timing/info.json", "/a/info.json?a=timing"]
)
async def test_nobody_else_gets_it(site, path):
    client = await site().client()
    async with client.get(path) as answer:
        assert {"Server-Timing", "Timing-Allow-Origin"}.isdisjoint(answer.headers)


async def test_server_timing_can_be_switched_off(site):
    client = await site(server_timing=False).client()
    async with client.get("/a/info.json?timing") as answer:
        assert {"Server-Timing", "Timing-Allow-Origin"}.isdisjoint(answer.headers)


@pytest.fixture
def profile(iiif_profile, tmp_path):
    (tmp_path / "images").mkdir()
    drawn_picture(200, 100).save(tmp_path / "images" / "a.jpg")
    return iiif_profile("disk", path="images", source_check_interval=10)


async def test_the_steps_of_an_image(iiif_app, profile):
    """Work first, memory then; and the header does not make it another image."""
    tile = "/disk:a.jpg/0,0,64,64/32,/0/default.png"
    async with iiif_app(profile) as app:
        made = await app.get(f"{tile}?timing")
        kept = await app.get(f"{tile}?timing")
        plain = await app.get(tile)
        held = await app.get(f"{tile}?timing", If_None_Match=made.headers["ETag"])
    names = [
        [part.partition(";")[0] for part in answer.headers["Server-Timing"].split(", ")]
        for answer in (made, kept, held)
    ]

    assert names[0] == [
        *("info", "cache", "queue", "open", "decode", "convert", "scale", "encode"),
        *("from", "total"),
    ]
    assert 'from;desc="worker"' in made.headers["Server-Timing"]
    assert names[1] == ["info", "cache", "from", "total"]
    assert 'from;desc="memory"' in kept.headers["Server-Timing"]
    assert names[2] == ["info", "total"]
    assert made.body == kept.body == plain.body
    assert made.headers["ETag"] == plain.headers["ETag"]
    assert "Server-Timing" not in plain.headers


async def test_all_who_wait_for_one_rendering_are_told_its_steps(iiif_app, profile):
    tile = "/disk:a.jpg/0,0,64,64/31,/0/default.png?timing"
    async with iiif_app(profile) as app:
        answers = await asyncio.gather(*(app.get(tile) for _ in range(5)))

    for answer in answers:
        assert "queue;dur=" in answer.headers["Server-Timing"] or "memory" in answer.headers["Server-Timing"]
    assert sum("decode;dur=" in answer.headers["Server-Timing"] for answer in answers) > 1

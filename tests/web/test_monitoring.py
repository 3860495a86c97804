"""Status, health, metrics and the icon: status, headers and body of each."""

import io
import json
import signal

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from iiif_server import __version__
from tests.support.metrics_reference import declared
from tests.support.pictures import drawn_picture
from tests.support.server import eventually
from tests.web.conftest import Client

TILE = "/files:a.jpg/0,0,64,64/32,/0/default.jpg"


@pytest.fixture
def profile(iiif_profile, tmp_path):
    (tmp_path / "images").mkdir()
    drawn_picture(200, 100).save(tmp_path / "images" / "a.jpg")
    setup = iiif_profile("disk", path="images", source_check_interval=10)
    return type(setup)("files", setup.profile_type, setup.entry, setup.directory, setup.probe)


def assert_common(answer, status=200):
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"]


async def samples(app):
    """Value by name and labels."""
    answer = await app.get("/metrics")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_status(iiif_app, profile, tmp_path):
    async with iiif_app(profile, default_profile="files") as app:
        await app.get(TILE)
        await app.get(TILE)
        answer = await app.get("/status")
        assert_common(answer)
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        status = answer.json()

    assert (status["status"], status["version"], status["default_profile"]) == (":)", __version__, "files")
    assert 0 <= status["uptime"] < 120
    assert status["processing"]["workers"] == status["processing"]["ready"] == 1
    assert status["processing"]["busy"] == status["processing"]["waiting"] == 0
    assert status["caches"]["memory"]["hits"] == 1
    assert status["caches"]["memory"]["entries"] == 1
    assert status["caches"]["disk"]["misses"] == 1
    assert status["profiles"] == {"files": {"name": "files", "type": "disk", "info_json_cache_size": 1}}
    assert str(tmp_path) not in json.dumps(status)


@pytest.mark.parametrize("query", ["full=true", "full=1", "full"])
async def test_full_status(iiif_app, profile, tmp_path, query):
    async with iiif_app(profile) as app:
        status = (await app.get(f"/status?{query}")).json()
    sources = status["profiles"]["files"]["sources"]

    assert sources["count"] == 1
    assert sources["size_bytes"] == (tmp_path / "images" / "a.jpg").stat().st_size
    assert sources["complete"]
    assert status["profiles"]["files"]["cache"]["count"] == 0
    assert str(tmp_path) not in json.dumps(status)


async def test_a_bad_query_of_the_status(iiif_app, profile):
    async with iiif_app(profile) as app:
        assert (await app.get("/status?full=perhaps")).status == 400
        assert "sources" not in (await app.get("/status?full=false")).json()["profiles"]["files"]


async def test_head_is_answered_as_get(iiif_app, profile):
    async with iiif_app(profile) as app:
        for path in ("/status", "/health", "/health/live", "/health/ready", "/metrics", "/favicon.ico"):
            async with app.session.head(app.url + path) as answer:
                assert answer.status == 200
                assert await answer.read() == b""


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_ready(iiif_app, profile, path):
    async with iiif_app(profile) as app:
        answer = await app.get(path)
        assert_common(answer)
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.json() == {"status": "ready", "reasons": [], "warnings": []}


async def test_alive(iiif_app, profile):
    async with iiif_app(profile) as app:
        answer = await app.get("/health/live")
        assert_common(answer)
        assert answer.json() == {"status": "alive"}


async def test_a_cache_that_cannot_be_written_is_a_warning(iiif_app, profile, tmp_path):
    """Where its directory belongs, there is a file."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "derivatives").write_text("in the way")
    async with iiif_app(profile) as app:
        answer = await app.get("/health")
        assert_common(answer)
        assert answer.json()["warnings"] == ["The disk cache can't be written; the log says why."]
        assert (await samples(app))["iiif_disk_cache_failing",] == 1


async def test_without_a_worker_it_is_alive_and_not_ready(server, tmp_path):
    """Somebody kills them faster than they come."""
    (tmp_path / "images").mkdir()
    client = Client(serving := server.directory(tmp_path / "images"))
    assert client.get("/health").status == 200
    answers = []

    def is_refused():
        for worker in serving.workers():
            worker.send_signal(signal.SIGKILL)
        answers.append(client.get("/health"))
        return answers[-1].status == 503

    await eventually(is_refused, 30, "503")
    refused = answers[-1]
    assert json.loads(refused.body)["reasons"] == ["No worker process is alive."]
    assert refused.headers["Cache-Control"] == "no-store"
    assert client.get("/health/live").status == 200
    await eventually(lambda: client.get("/health").status == 200, 30, "ready again")


async def test_metrics_are_what_prometheus_reads(iiif_app, profile):
    """Every metric of the reference is told, with the type and the help of the reference."""
    async with iiif_app(profile) as app:
        await app.get(TILE)
        answer = await app.get("/metrics")
        assert_common(answer)
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.headers["Vary"] == "Accept-Encoding"
        families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}

    for name, metric in declared().items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric._type, metric._documentation)
        assert all(name.startswith("iiif_") for name in families)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric._labelnames)


async def test_requests_are_counted(iiif_app, profile):
    async with iiif_app(profile) as app:
        tag = (await app.get(TILE)).headers["ETag"]
        body = (await app.get(TILE)).body
        assert (await app.get(TILE, If_None_Match=tag)).status == 304
        async with app.session.head(app.url + TILE) as answer:
            assert answer.status == 200
        await app.get("/files:a.jpg/info.json")
        await app.get("/nobody:a.jpg/info.json")
        await app.get("/files:nothing/info.json")
        await app.get("/no/such/address")
        await app.get("/static/viewer.js")
        found = await samples(app)

    requests = {key[1:]: value for key, value in found.items() if key[0] == "iiif_requests_total"}
    assert requests == {
        ("200", "GET", "files", "image"): 2,
        ("304", "GET", "files", "image"): 1,
        ("200", "HEAD", "files", "image"): 1,
        ("200", "GET", "files", "info"): 1,
        ("404", "GET", "files", "info"): 1,
        ("", "404", "GET", "info"): 1,
        ("", "404", "GET", "other"): 1,
        ("", "200", "GET", "static"): 1,
    }
    assert found["iiif_response_bytes_total", "files", "image"] == 2 * len(body)
    assert found["iiif_request_duration_seconds_count", "image"] == 4
    assert found["iiif_requests_in_progress",] == 1  # this one


async def test_images_are_counted_by_where_they_came_from(iiif_app, profile):
    async with iiif_app(profile) as app:
        tag = (await app.get(TILE)).headers["ETag"]
        for _ in range(3):
            await app.get(TILE)
        await app.get(TILE, If_None_Match=tag)
        found = await samples(app)
    async with iiif_app(profile) as app:
        await app.get(TILE)
        after = await samples(app)

    assert {tier: found["iiif_images_total", tier] for tier in ("worker", "memory", "not_modified")} == {
        "worker": 1,
        "memory": 3,
        "not_modified": 1,
    }
    assert after["iiif_images_total", "disk"] == 1
    assert ("iiif_images_total", "worker") not in after
    assert found["iiif_cache_hits_total", "memory"] == 3
    assert found["iiif_cache_misses_total", "memory"] == 1
    assert found["iiif_cache_misses_total", "disk"] == 1
    assert after["iiif_cache_hits_total", "disk"] == 1


async def test_work_is_counted_by_its_steps(iiif_app, profile):
    async with iiif_app(profile) as app:
        await app.get("/files:a.jpg/0,0,64,64/32,/0/default.png")
        first, second = await samples(app), await samples(app)

    for step in ("open", "decode", "convert", "scale", "encode"):
        assert first["iiif_render_duration_seconds_count", step] == 1
        assert first["iiif_render_duration_seconds_sum", step] >= 0
    # The tasks: what is installed, the header, the tile.
    assert first["iiif_tasks_total",] == second["iiif_tasks_total",] == 3
    assert first["iiif_queue_wait_seconds_count",] == 3
    assert first["iiif_workers",] == first["iiif_workers_ready",] == 1


async def test_metrics_are_compressed_for_those_who_want_it(iiif_app, profile):
    async with iiif_app(profile) as app:
        answer = await app.get("/metrics", Accept_Encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert b"iiif_workers" in answer.body


async def test_applications_of_one_process_count_for_themselves(iiif_app, profile):
    async with iiif_app(profile) as one:
        await one.get(TILE)
        async with iiif_app(profile) as other:
            assert not any(key[0] == "iiif_requests_total" for key in await samples(other))


async def test_the_icon(iiif_app, profile):
    async with iiif_app(profile) as app:
        answer = await app.get("/favicon.ico")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/vnd.microsoft.icon"
        assert answer.headers["Cache-Control"] == "max-age=86400"
        again = await app.get("/favicon.ico", If_None_Match=answer.headers["ETag"])
        assert (again.status, again.body) == (304, b"")

    with Image.open(io.BytesIO(answer.body)) as icon:
        assert icon.format == "ICO"
        assert icon.info["sizes"] == {(16, 16), (32, 32), (48, 48)}

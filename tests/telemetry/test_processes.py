"""Several processes count as one, whoever is asked, and whatever became of the others."""

import json
import os
import subprocess
import sys
import urllib.request

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from iiif_server.telemetry.processes import all_processes, process_ended
from iiif_server.telemetry.sharing import multiprocess_directory, multiprocess_environment
from tests.support.pictures import drawn_picture
from tests.support.server import eventually, serve_command

COUNT = """
import os, sys
from iiif_server.telemetry.metrics import RequestKey, Sampler, create_metrics
metrics = create_metrics()
assert metrics is create_metrics()
for _ in range(int(sys.argv[1])):
    metrics.request_done(RequestKey("image", "plants", "GET", 200, "disk"), 0.2, 10)
Sampler(metrics).sample({
    "pool": {"busy": int(sys.argv[1]), "tasks": 2},
    "disk": {"max_bytes": 1000, "known_bytes": int(sys.argv[1])},
})
print(os.getpid(), flush=True)
if "stay" in sys.argv:
    sys.stdin.read()
if "crash" in sys.argv:
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "metrics"
    path.mkdir()
    return path


def counting(directory, *arguments):
    """A process that counts; its id, once it has counted."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNT, *arguments],
        env=os.environ | multiprocess_environment(directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    return process


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(20)


def told(directory):
    with all_processes(directory) as registry:
        text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


COUNTED = (
    ("iiif_requests_total", "200", "GET", "image", "plants"),
    ("iiif_request_duration_seconds_count", "image"),
    ("iiif_request_duration_seconds_bucket", "0.25", "image"),
    ("iiif_response_bytes_total", "image", "plants"),
    ("iiif_tasks_total",),
)


def test_the_environment_is_what_the_library_reads(directory, monkeypatch):
    assert multiprocess_environment(directory) == {"PROMETHEUS_MULTIPROC_DIR": str(directory)}
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    assert multiprocess_directory() is None
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    assert multiprocess_directory() == directory


def test_a_directory_that_is_none_is_a_mistake_that_is_explained(server, tmp_path):
    ended = server.started(serve_command(str(tmp_path)), multiprocess_environment(tmp_path / "nowhere"))

    assert ended.wait() == 1
    assert ended.output() == f"PROMETHEUS_MULTIPROC_DIR: there is no directory '{tmp_path}/nowhere'\n"


def test_processes_are_added_up(directory):
    processes = [counting(directory, str(count), "stay") for count in (3, 4)]
    found = told(directory)
    for process in processes:
        end(process)

    assert [found[key] for key in COUNTED] == [7, 7, 7, 70, 4]
    assert found["iiif_workers_busy",] == 7
    assert found["iiif_disk_cache_max_bytes",] == 1000, "all share one disk cache"
    assert found["iiif_disk_cache_known_bytes",] == 4


def test_what_ended_processes_have_counted_stays_and_their_gauges_go(directory):
    """However many there were, in a bounded number of files."""
    staying = counting(directory, "3", "stay")
    for _ in range(3):
        ended = counting(directory, "5", "crash")
        end(ended)
        before = told(directory)
        process_ended(directory, ended.pid)

        assert {key: told(directory)[key] for key in COUNTED} == {key: before[key] for key in COUNTED}
        assert told(directory)["iiif_workers_busy",] == 3
    files = sorted(path.name for path in directory.iterdir())
    end(staying)

    assert told(directory)["iiif_requests_total", "200", "GET", "image", "plants"] == 18
    assert files == sorted(
        [
            *(f"{kind}_{who}.db" for kind in ("counter", "histogram") for who in ("ended", staying.pid)),
            *(f"gauge_{mode}_{staying.pid}.db" for mode in ("livemax", "livesum")),
            "lock",
        ]
    )


def test_the_end_of_a_process_that_never_counted_is_nothing(directory):
    process_ended(directory, 4_194_305)

    assert told(directory) == {}


def test_a_file_that_was_cut_short_costs_no_more_than_its_rest(directory):
    ended = counting(directory, "5", "crash")
    end(ended)
    path = directory / f"counter_{ended.pid}.db"
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 16)
    process_ended(directory, ended.pid)

    assert told(directory)["iiif_request_duration_seconds_count", "image"] == 5
    assert not path.exists()


@pytest.mark.e2e
async def test_two_servers_answer_for_both(server, tmp_path, directory):
    """Gauges and the counts of caches come within a second or so; requests at once."""
    (tmp_path / "images").mkdir()
    drawn_picture(200, 100).save(tmp_path / "images" / "a.jpg")
    environment = multiprocess_environment(directory)
    servers = [server.command(serve_command(str(tmp_path / "images")), environment) for _ in range(2)]
    for serving in servers:
        for _ in range(3):
            with urllib.request.urlopen(serving.image_url("a.jpg", "full/50,/0/default.jpg"), timeout=20):
                pass

    def asked(serving):
        with urllib.request.urlopen(f"{serving.url}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    for serving in servers:
        await eventually(
            lambda: asked(serving).get(("iiif_cache_hits_total", "memory")) == 4,  # noqa: B023
            20,
            "hits of both",
        )
        found = asked(serving)
        assert found["iiif_requests_total", "200", "GET", "files", "image"] == 6
        assert found["iiif_images_total", "worker"] == 2
        assert found["iiif_workers",] == 4
    servers[0].process.kill()
    servers[0].wait()
    process_ended(directory, servers[0].pid)
    found = asked(servers[1])

    assert found["iiif_requests_total", "200", "GET", "files", "image"] == 6
    assert found["iiif_workers",] == 2
    assert json.loads(urllib.request.urlopen(f"{servers[1].url}/health").read())["status"] == "ready"

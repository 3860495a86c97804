"""Log lines of real servers: the same under whatever starts them, safe to read, and never in the way."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, eventually, free_port, serve_command

pytestmark = pytest.mark.e2e

Starter = Callable[[Path], ServerProcess]


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "images").mkdir()
    drawn_picture(200, 100).save(tmp_path / "images" / "a.jpg")

    def write(**settings: object) -> Path:
        path = tmp_path / "config.yaml"
        profile = {"type": "disk", "rights": "http://example.org/r", "path": "images", "log_level": "DEBUG"}
        path.write_text(json.dumps({"cache_path": "cache", "profiles": {"files": profile}, **settings}))
        return path

    return write


@pytest.fixture(params=["serve", "aiohttp", "gunicorn"])
def start(request: pytest.FixtureRequest, server: ServerFactory) -> Starter:
    """Start a configuration in one of the documented ways."""

    def started(path: Path) -> ServerProcess:
        port = str(free_port())
        env = {"IIIF_CONFIG": str(path), "PYTHONUNBUFFERED": "1"}
        if request.param == "serve":
            return server.command(serve_command("--config", str(path)))
        if request.param == "aiohttp":
            arguments = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", port, "iiif_server.app:create_app"]
            return server.command(arguments, env)
        arguments = ["-m", "gunicorn", "iiif_server.app:create_app()", "--bind", f"127.0.0.1:{port}"]
        return server.command([*arguments, "--worker-class", "aiohttp.GunicornWebWorker"], env)

    return started


def ask(serving: ServerProcess, path: str) -> tuple[int, str]:
    """Status and request id."""
    for _ in range(200):  # gunicorn names its address before it answers
        try:
            with urllib.request.urlopen(serving.url + path, timeout=20) as answer:
                return answer.status, answer.headers["X-Request-ID"]
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, error.headers["X-Request-ID"]
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("no answer")


def send(serving: ServerProcess, request: bytes) -> bytes:
    assert serving.port is not None
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def leave(serving: ServerProcess, path: str) -> None:
    """Ask for something, and don't wait for it."""
    assert serving.port is not None
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def of_kind(serving: ServerProcess, kind: str) -> list[dict[str, object]]:
    """The access lines of a kind."""
    return [line for line in said(serving) if line.get("kind") == kind]


def said(serving: ServerProcess) -> list[dict[str, object]]:
    """What stands in its lines of JSON."""
    return [json.loads(line) for line in serving.output().splitlines() if line.startswith("{")]


async def test_lines_for_machines(start: Starter, config: Callable[..., Path]) -> None:
    """Each once, whole, and nothing of secrets; clients that leave or speak no HTTP are no errors."""
    serving = start(config(log_format="json", access_log=True))
    status, request_id = ask(serving, "/files:no%20image/info.json?token=secret")
    refused = send(serving, b"GET / HTTP/9.9\r\nHost: \x1b[2Jx\r\n\r\n")
    for _ in range(2):
        leave(serving, "/files:a.jpg/full/^4000,/0/default.png")
    await eventually(lambda: len(of_kind(serving, "image")) == 2, 60, "two clients that left")
    error, access = (line for line in said(serving) if line.get("request_id") == request_id)
    (no_http,) = (line for line in said(serving) if "is not HTTP" in str(line["message"]))

    assert status == access["status"] == 404
    assert access["path"] == "/files:no%20image/info.json?…"
    assert (access["client"], access["profile"], access["kind"]) == ("127.0.0.1", "files", "info")
    assert "no image" in str(error["message"])
    assert refused[8:12] == b" 400"
    assert (no_http["logger"], no_http["level"]) == ("iiif_server.http", "INFO")
    assert serving.terminate() == 0
    ours = [line for line in serving.output().splitlines() if "iiif_server." in line]
    assert all(line.startswith("{") for line in ours)
    assert not any("secret" in line for line in ours)
    assert {line["level"] for line in said(serving)} <= {"INFO", "DEBUG"}
    assert "Traceback" not in serving.output()


async def test_lines_for_people(server: ServerFactory, config: Callable[..., Path]) -> None:
    serving = server.command(serve_command("--config", str(config(access_log=True))))
    _, request_id = ask(serving, "/files:a.jpg/info.json")
    line = (
        rf"^[-0-9]+T[:.0-9]+Z INFO iiif_server\.access \[{request_id}\]: 127\.0\.0\.1 "
        r'"GET /files:a\.jpg/info\.json" 200 \d+ B [.0-9]+ ms -$'
    )
    await eventually(lambda: bool(re.search(line, serving.output(), re.MULTILINE)), 20, "the line")

    assert len(re.findall(line, serving.output(), re.MULTILINE)) == 1


def test_a_log_that_nobody_reads_holds_up_nobody(config: Callable[..., Path], tmp_path: Path) -> None:
    """Standard error is a pipe that is full: every request is answered, and the server ends when told to."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        with (tmp_path / "ready").open("wb") as ready:
            path = str(config(access_log=True))
            process = subprocess.Popen(
                [sys.executable, *serve_command("--config", path)], stdout=ready, stderr=writer
            )
        try:
            deadline = time.monotonic() + 30
            while b"http" not in (tmp_path / "ready").read_bytes():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            address = (tmp_path / "ready").read_text().split("ready: ")[1].strip()
            for number in range(100):
                with urllib.request.urlopen(f"{address}health/live?{number}", timeout=20) as answer:
                    assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait(30)
    finally:
        os.close(reader)
        os.close(writer)

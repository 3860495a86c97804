"""Whatever dies, hangs or lies, the next request is served and nothing is left behind."""

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.support.load import Load
from tests.support.paths import SHARED_IMAGES
from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, eventually, free_port, serve_command

pytestmark = pytest.mark.e2e

GOOD = ("one.jpg", "two.png", "three.tif")
READABLE = {"bad-exif.jpg", "bad-ext-jpeg-as.jp2", "bad-ext-jpeg-as.png"}
"""Files of the collection whose fault must not keep them from being served."""

HOSTILE = [
    *sorted(path.name for pattern in ("bad-*", "bomb-*") for path in SHARED_IMAGES.glob(pattern)),
    "truncated.jpg",
    "truncated.png",
    "truncated.tif",
    "empty.jpg",
    "text.jpg",
    "pipe.jpg",
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("faults")
    picture = drawn_picture(1500, 1100)
    for name in GOOD:
        picture.save(directory / name)
        content = (directory / name).read_bytes()
        (directory / f"truncated{Path(name).suffix}").write_bytes(content[: len(content) // 3])
    (directory / "empty.jpg").touch()
    (directory / "text.jpg").write_text("This is not an image.\n" * 100)
    os.mkfifo(directory / "pipe.jpg")
    for name in HOSTILE:
        if (SHARED_IMAGES / name).exists():
            shutil.copyfile(SHARED_IMAGES / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def lasting(module_server: ServerFactory, pictures: Path) -> ServerProcess:
    """A server that has to outlive everything that is done to it."""
    return module_server.directory(pictures)


@pytest.fixture
def serving(server: ServerFactory, pictures: Path) -> ServerProcess:
    """A server that a test may end."""
    return server.directory(pictures)


@pytest.fixture
def workers_survive(lasting: ServerProcess) -> Iterator[None]:
    """There are as many workers after the test as before it, and a good image is served."""
    count = len(lasting.workers())
    yield
    deadline = time.monotonic() + 10
    while len(lasting.workers()) != count and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(lasting.workers()) == count


def load_on(server: ServerProcess) -> Load:
    return Load([server.image_url(name, "").rstrip("/") for name in GOOD])


async def get(url: str, seconds: float = 60) -> tuple[int, str, bytes]:
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as response:
        return response.status, response.content_type, await response.read()


async def assert_serves(server: ServerProcess, parameters: str) -> None:
    """A good image is answered, freshly made."""
    status, media_type, _ = await get(server.image_url("one.jpg", f"{parameters}/0/default.jpg"))

    assert (status, media_type) == (200, "image/jpeg")


@pytest.mark.usefixtures("workers_survive")
async def test_killed_worker_fails_no_request(lasting: ServerProcess) -> None:
    """A worker that is killed under load costs its task a second try, and no client an error."""
    load = load_on(lasting)
    async with load.running():
        for _ in range(3):
            await load.answered(30)
            lasting.workers()[0].kill()
        await load.answered(60)

    assert load.failures == {}


@pytest.mark.usefixtures("workers_survive")
async def test_all_workers_killed(lasting: ServerProcess) -> None:
    """With every worker gone, the next request waits for a new one."""
    before = lasting.workers()
    for worker in before:
        worker.kill()
    started = time.monotonic()
    await assert_serves(lasting, "1,1,500,500/301,")

    assert time.monotonic() - started < 10
    assert set(lasting.workers()).isdisjoint(before)


@pytest.mark.usefixtures("workers_survive")
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_source(lasting: ServerProcess, pictures: Path, name: str) -> None:
    """A source that hangs, crashes or deceives gets a short error, and the next request is served."""
    info, image = lasting.image_url(name), lasting.image_url(name, "full/!200,200/0/default.jpg")
    answers = await asyncio.gather(get(info), get(image))
    for status, media_type, body in answers:
        if status == 200:
            assert media_type in {"application/json", "application/ld+json", "image/jpeg"}
        else:
            assert_explained(status, body.decode(), pictures)
    statuses = [status for status, _, _ in answers]
    if name in READABLE:
        assert statuses == [200, 200]
    else:
        assert statuses[1] >= 400 or not name.startswith(("bomb-", "pipe", "empty", "text"))

    await assert_serves(lasting, f"2,2,600,600/{300 + HOSTILE.index(name)},")


def assert_explained(status: int, text: str, directory: Path) -> None:
    """An error is an error's status and a short text that gives nothing away."""
    assert status in {400, 404, 413, 415, 422, 500, 501, 503, 504}
    assert 0 < len(text) < 400
    assert not any(word in text for word in ("Traceback", 'File "', str(directory), "iiif_server", "0x"))


@pytest.mark.usefixtures("workers_survive")
async def test_pipe_holds_up_nobody(lasting: ServerProcess) -> None:
    """A named pipe that nobody writes to is refused at once."""
    started = time.monotonic()
    status, _, _ = await get(lasting.image_url("pipe.jpg", "full/100,/0/default.jpg"))

    assert 400 <= status < 500
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("workers_survive")
async def test_clients_that_go(lasting: ServerProcess) -> None:
    """Clients that hang up before the answer leave no work, no connection and no error behind."""
    path = lasting.image_url("two.png", "{},0,900,900/890,/0/default.png").removeprefix(lasting.url)
    for x in range(30):
        _, writer = await asyncio.open_connection("127.0.0.1", lasting.port)
        writer.write(f"GET {path.format(x)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await assert_serves(lasting, "3,3,500,500/302,")
    await eventually(
        lambda: not _connections(lasting), 10, "connections of clients that have gone are closed"
    )

    assert "Traceback" not in lasting.output()


def _connections(server: ServerProcess) -> list[object]:
    """Connections that the server still holds open."""
    return [
        connection
        for connection in psutil.Process(server.pid).net_connections()
        if connection.status not in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    ]


async def test_signal_to_end_under_load(serving: ServerProcess) -> None:
    """SIGTERM ends a busy server with code 0: what was begun is answered, and no process is left."""
    load = load_on(serving)
    async with load.running():
        await load.answered(20)
        serving.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(serving.wait)

    assert code == 0
    assert serving.tree() == []
    assert set(load.outcomes) <= {"200", "503", "ClientConnectorError"}
    assert "Traceback" not in serving.output()


async def test_killed_server_leaves_no_worker(serving: ServerProcess) -> None:
    """Workers notice that their server has gone, and go as well."""
    load = load_on(serving)
    async with load.running():
        await load.answered(10)
        serving.process.kill()
        await eventually(lambda: not serving.tree(), 5, "every process of the server is gone")
    serving.wait()


MISTAKES = {
    "unknown key": ("bas_url: https://example.org\n", "bas_url"),
    "wrong type": ("image_pool_size: many\n", "image_pool_size"),
    "not YAML": ("base_url: [\n", ""),
    "unknown profile type": ("profiles: {a: {type: dsk, rights: 'https://example.org/r'}}\n", "dsk"),
    "no profiles": ("base_url: https://example.org\n", "profiles"),
    "unknown option": ("profiles: {a: {type: disk, rights: 'https://example.org/r', pth: x}}\n", "pth"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_broken_configuration(server: ServerFactory, tmp_path: Path, mistake: str) -> None:
    """A mistake in the configuration ends the server at once; it names the file and the key."""
    text, key = MISTAKES[mistake]
    config = tmp_path / "broken.yaml"
    config.write_text(text)
    ended = server.started(serve_command("--config", str(config)))

    assert ended.wait() != 0
    assert "broken.yaml" in ended.output()
    assert key in ended.output()
    assert "Traceback" not in ended.output()


def test_missing_configuration(server: ServerFactory, tmp_path: Path) -> None:
    """A file that is not there is named."""
    ended = server.started(serve_command("--config", str(tmp_path / "absent.yaml")))

    assert ended.wait() != 0
    assert "absent.yaml" in ended.output()
    assert "Traceback" not in ended.output()


def test_missing_directory(server: ServerFactory, tmp_path: Path) -> None:
    """So is a directory."""
    ended = server.started(serve_command(str(tmp_path / "absent")))

    assert ended.wait() != 0
    assert "absent" in ended.output()
    assert "Traceback" not in ended.output()


def test_port_is_taken(server: ServerFactory, pictures: Path) -> None:
    """A port that somebody else has is named, and no worker is left."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = server.started(serve_command(str(pictures), port=port))
        code = ended.wait()

    assert code != 0
    assert str(port) in ended.output()
    assert "Traceback" not in ended.output()
    assert ended.tree() == []

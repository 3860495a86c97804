"""Every documented way to start the server serves the same image."""

import io
import json
import signal
import socket
import sysconfig
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from iiif_server.caches.roster import ROSTER
from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, eventually, free_port, serve_command

pytestmark = pytest.mark.e2e

SIZE = (700, 500)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    directory = tmp_path / "pictures"
    (directory / "below").mkdir(parents=True)
    drawn_picture(*SIZE).save(directory / "one.jpg")
    drawn_picture(*SIZE).save(directory / "below" / "a name with ü.png")
    return directory


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> Path:
    """A configuration as an operator would write it; paths start at its directory."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"""\
cache_path: cache
default_profile: files
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: {pictures.name}
"""
    )
    return path


def assert_serves(server: ServerProcess) -> None:
    """Images in the directory and below it are served, and a signal ends the server well."""
    for name in ("one.jpg", "below/a name with ü.png"):
        with urllib.request.urlopen(server.image_url(name), timeout=10) as response:
            info = json.load(response)
        url = server.image_url(name, "full/100,/0/default.jpg")
        with urllib.request.urlopen(url, timeout=10) as response:
            content = response.read()

        assert (info["width"], info["height"]) == SIZE
        assert content.startswith(b"\xff\xd8")

    assert server.terminate() == 0
    assert server.tree() == []
    assert "Traceback" not in server.output()


def test_directory(server: ServerFactory, pictures: Path) -> None:
    """`iiif-server serve DIR`: caches are in the user's cache directory, nothing is beside the images."""
    before = sorted(pictures.rglob("*"))
    serving = server.directory(pictures)
    assert_serves(serving)

    assert serving.cache.is_dir()
    assert before == sorted(pictures.rglob("*"))


def test_config(server: ServerFactory, config: Path) -> None:
    """`iiif-server serve --config FILE`."""
    assert_serves(server.command(serve_command("--config", str(config))))

    assert (config.parent / "cache").is_dir()


def test_console_script(server: ServerFactory, pictures: Path) -> None:
    """The installed command `iiif-server`."""
    script = Path(sysconfig.get_path("scripts")) / "iiif-server"
    arguments = serve_command(str(pictures))[2:]
    assert_serves(server.command([str(script), *arguments]))


def aiohttp_web(config: Path) -> tuple[list[str], dict[str, str]]:
    """How aiohttp's own command is started."""
    port = str(free_port())
    arguments = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", port, "iiif_server.app:create_app"]
    # aiohttp does not flush the address that it prints.
    return arguments, {"IIIF_CONFIG": str(config), "PYTHONUNBUFFERED": "1"}


def test_aiohttp_web(server: ServerFactory, config: Path) -> None:
    """`python -m aiohttp.web iiif_server.app:create_app`, with the file named by IIIF_CONFIG."""
    assert_serves(server.command(*aiohttp_web(config)))


def gunicorn(config: Path) -> tuple[list[str], dict[str, str]]:
    """How two processes of gunicorn are started."""
    arguments = ["-m", "gunicorn", "iiif_server.app:create_app()", "--workers", "2"]
    arguments += ["--worker-class", "aiohttp.GunicornWebWorker", "--bind", f"127.0.0.1:{free_port()}"]
    return arguments, {"IIIF_CONFIG": str(config), "HOME": str(config.parent)}  # its control socket is there


async def test_gunicorn(server: ServerFactory, config: Path) -> None:
    """Its processes, which know nothing of each other, notice that they share the disk cache."""
    serving = server.command(*gunicorn(config))
    users = config.parent / "cache" / "derivatives" / ROSTER
    await eventually(lambda: users.is_dir() and len(list(users.iterdir())) == 2, 30, "both use the cache")

    assert_serves(serving)
    assert list(users.iterdir()) == []


def raw(server: ServerProcess, request: bytes) -> bytes:
    """Send bytes, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port or 0), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("way", ["serve", "aiohttp.web", "gunicorn"])
def test_clients_are_limited(server: ServerFactory, config: Path, way: str) -> None:
    """In time and size by each; by our own sockets in the form of our own errors."""
    config.write_text(f"keepalive_timeout: 1\nhead_timeout: 1\n{config.read_text()}")
    ways = {
        "serve": (serve_command("--config", str(config)), {}),
        "aiohttp.web": aiohttp_web(config),
        "gunicorn": gunicorn(config),
    }
    serving = server.command(*ways[way])
    trickled = raw(serving, b"GET / HTTP/1.1\r\nHost")
    long = raw(serving, b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    body = raw(serving, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")

    assert raw(serving, b"") == b""
    assert b" 413 " in body.partition(b"\r\n")[0]
    if way == "serve":
        assert trickled.startswith(b"HTTP/1.1 408 ")
        assert b" 431 " in long.partition(b"\r\n")[0]
    else:
        assert trickled == b""
        assert b" 400 " in long.partition(b"\r\n")[0]


def test_gunicorn_with_a_mistake(server: ServerFactory, config: Path) -> None:
    """A configuration that can't be used ends it, instead of being tried for ever."""
    config.write_text(config.read_text().replace("rights", "rihgts"))
    ended = server.started(*gunicorn(config))

    assert ended.wait() != 0
    assert f"{config}:6" in ended.output()
    assert "'rights'" in ended.output()
    assert ended.tree() == []


def test_aiohttp_web_without_config(server: ServerFactory) -> None:
    """Without IIIF_CONFIG it ends at once, and names the variable."""
    arguments = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(free_port()), "iiif_server.app:create_app"]
    ended = server.started(arguments, {"IIIF_CONFIG": ""})

    assert ended.wait() != 0
    assert "IIIF_CONFIG" in ended.output()
    assert "Traceback" not in ended.output()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_event_loops(server: ServerFactory, pictures: Path, tmp_path: Path, loop: str) -> None:
    """On either event loop, answers larger than any buffer come whole from the worker to the client."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="the extra uvloop is not installed")
        env = {}
    else:
        (tmp_path / "uvloop.py").write_text("raise ImportError")
        env = {"PYTHONPATH": str(tmp_path)}
    serving = server.command(serve_command(str(pictures)), env)
    with urllib.request.urlopen(serving.image_url("one.jpg", "full/^pct:200/0/default.png")) as response:
        picture = Image.open(io.BytesIO(response.read()))

        assert picture.size == (2 * SIZE[0], 2 * SIZE[1])
        assert int(response.headers["Content-Length"]) > 1_000_000

    picture.load()
    loaded = Path(f"/proc/{serving.pid}/maps").read_text()

    assert ("uvloop" in loaded) == (loop == "uvloop")


def test_interrupt_ends_it(server: ServerFactory, pictures: Path) -> None:
    """Ctrl+C, which reaches the workers as well, ends the server without a traceback."""
    serving = server.directory(pictures)
    for process in serving.tree():
        with suppress(psutil.NoSuchProcess):  # the first one's end is the others'
            process.send_signal(signal.SIGINT)
    serving.wait()

    assert serving.tree() == []
    assert "Traceback" not in serving.output()


def test_caches_outlive_the_server(server: ServerFactory, pictures: Path) -> None:
    """A server that starts again answers with the same bytes under the same ETag."""
    first = server.directory(pictures)
    url = first.image_url("one.jpg", "full/90,/0/default.jpg")
    with urllib.request.urlopen(url, timeout=10) as response:
        content, tag = response.read(), response.headers["ETag"]
    first.terminate()
    second = server.command(serve_command(str(pictures)), {"XDG_CACHE_HOME": str(first.cache)})
    request = urllib.request.Request(
        second.image_url("one.jpg", "full/90,/0/default.jpg"), headers={"If-None-Match": tag}
    )
    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(request, timeout=10)
    with urllib.request.urlopen(request.full_url, timeout=10) as response:
        assert content == response.read()

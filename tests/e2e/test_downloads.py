"""Large originals: broken off and resumed, in little memory, and packed."""

import asyncio
import http.client
import random
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, eventually, free_port, serve_command

pytestmark = pytest.mark.e2e

GIBIBYTE = 1 << 30
HUGE = 2 * GIBIBYTE + (128 << 20) + 4321
LARGE = 400 << 20
BREAKS = (GIBIBYTE // 4 + 777, GIBIBYTE // 4 + (32 << 20), 2 * GIBIBYTE - (1 << 20))
"""Where what is asked for begins anew: it goes on, goes on once more, and goes over what 31 bits count."""
PIECE = 1 << 20
MEMORY = 64 << 20
"""By how much a server may grow while it sends gigabytes; what was seen is printed."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with much behind them, most of it a hole; here and there are bytes to tell places apart."""
    directory = tmp_path_factory.mktemp("downloads")
    numbers = random.Random(5)
    for name, length in (("huge.jpg", HUGE), ("large.jpg", LARGE)):
        drawn_picture(300, 200).save(directory / name)
        with (directory / name).open("r+b") as file:
            for place in (*(place - 50_000 for place in BREAKS), 2 * GIBIBYTE - 10, length - 100_000):
                if place < length:
                    file.seek(place)
                    file.write(numbers.randbytes(100_000))
            file.truncate(length)
    for number in range(3):
        drawn_picture(900, 700).save(directory / f"small-{number}.png")
    return directory


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def serving(
    request: pytest.FixtureRequest,
    module_server: ServerFactory,
    pictures: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerProcess:
    """Our own command, which sends files itself under uvloop, and aiohttp's, with which the system sends."""
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(
        f"cache_path: {config.parent / 'cache'}\ndownload_max_size: 4 GiB\nprofiles:\n  files:\n"
        "    type: disk\n    rights: http://creativecommons.org/licenses/by/4.0/\n"
        f"    path: {pictures}\n"
    )
    if request.param == "uvloop":
        return module_server.command(serve_command("--config", str(config)))
    command = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(free_port()), "iiif_server.app:create_app"]
    return module_server.command(command, {"IIIF_CONFIG": str(config), "PYTHONUNBUFFERED": "1"})


@contextmanager
def asking(
    server: ServerProcess, path: str, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """A plain client, which costs less than what it measures."""
    assert server.port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", path, headers=headers or {})
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


class Growth:
    """By how many bytes a server's resident memory has grown at most."""

    def __init__(self, server: ServerProcess) -> None:
        self._process = psutil.Process(server.pid)
        self._before = self._process.memory_info().rss
        self._started = time.monotonic()
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, self._process.memory_info().rss - self._before)

    def check(self, received: int) -> None:
        seconds = time.monotonic() - self._started
        print(f"{received >> 20} MiB in {seconds:.1f} s; the server grew by {self.most >> 10} KiB")
        assert self.most < MEMORY


def same_bytes(answer: http.client.HTTPResponse, stored: Path, start: int, stop: int, growth: Growth) -> int:
    """Compare what comes with a part of the stored file; up to where it is the same."""
    buffer, position = bytearray(PIECE), start
    with stored.open("rb", buffering=0) as file:
        file.seek(start)
        while position < stop:
            count = answer.readinto(memoryview(buffer)[: stop - position])
            if not count or buffer[:count] != file.read(count):
                break
            position += count
            growth.look()
    return position


def test_a_huge_original_is_resumed_where_it_broke_off(serving: ServerProcess, pictures: Path) -> None:
    """Byte for byte the same file, and the server grows by little."""
    path, stored = "/files:huge.jpg/original", pictures / "huge.jpg"
    with asking(serving, "/files:huge.jpg/info.json") as answer:  # so that every module is loaded
        answer.read()
    growth = Growth(serving)
    with asking(serving, path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(HUGE)
        tag = answer.headers["ETag"]
        assert same_bytes(answer, stored, 0, BREAKS[0], growth) == BREAKS[0]
    received = BREAKS[0]
    for start, stop in zip(BREAKS, (BREAKS[1], BREAKS[1] + (32 << 20), HUGE), strict=True):
        with asking(serving, path, {"Range": f"bytes={start}-", "If-Range": tag}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes {start}-{HUGE - 1}/{HUGE}"
            assert same_bytes(answer, stored, start, stop, growth) == stop
            received += stop - start
            if stop == HUGE:
                assert answer.read() == b""
    growth.check(received)


def test_an_archive_takes_as_little(serving: ServerProcess, pictures: Path, tmp_path: Path) -> None:
    """It is as long as announced, and what others read of it is what was stored."""
    names = ["small-0.png", "large.jpg", "small-1.png", "small-2.png"]
    path, growth, received = tmp_path / "originals.zip", Growth(serving), 0
    query = ",".join(f"files:{name}" for name in names)
    with asking(serving, f"/originals?identifiers={query}") as answer, path.open("wb") as file:
        assert answer.status == 200
        while piece := answer.read(PIECE):
            file.write(piece)
            received += len(piece)
            growth.look()
    growth.check(received)

    assert str(received) == answer.headers["Content-Length"]
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
        assert archive.getinfo("large.jpg").file_size == LARGE
        assert archive.read("small-2.png") == (pictures / "small-2.png").read_bytes()


async def test_slow_readers_keep_no_one_waiting(serving: ServerProcess) -> None:
    """Many clients that take next to nothing: tiles are made meanwhile, and nothing is left when they go."""
    urls = [f"{serving.url}/files:huge.jpg/original"] * 20
    urls += [f"{serving.url}/originals?identifiers=files:huge.jpg"] * 8
    growth = Growth(serving)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100), read_bufsize=1) as client:
        answers = await asyncio.gather(*(client.get(url) for url in urls))
        assert {answer.status for answer in answers} == {200}
        async with client.get(f"{serving.url}/originals?identifiers=files:small-1.png") as busy:
            assert busy.status == 503
            assert busy.headers["Retry-After"]
        for number in range(5):
            async with client.get(
                f"{serving.url}/files:small-0.png/{number},0,500,500/max/0/default.jpg"
            ) as tile:
                assert tile.status == 200
            growth.look()
        for answer in answers:
            answer.close()
    growth.check(0)
    await eventually(lambda: not _open(serving), 10, "the files are closed")


def _open(server: ServerProcess) -> list[str]:
    return [file.path for file in psutil.Process(server.pid).open_files() if file.path.endswith(".jpg")]


def test_a_server_that_is_killed_leaves_a_broken_download(server: ServerFactory, pictures: Path) -> None:
    """The client sees that it is not whole."""
    killed = server.directory(pictures)
    with asking(killed, "/originals?identifiers=files:large.jpg") as answer:
        answer.read(PIECE)
        killed.process.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()

"""Whatever dies, hangs or is ended, the next request is served and no process is left behind."""

import asyncio
import random
import signal
import socket
import time
from collections.abc import Iterator

import aiohttp
import psutil
import pytest
from PIL import Image

from tests.chaos.raw import RawClient
from tests.chaos.site import Site, make_site
from tests.support.load import Load
from tests.support.server import ServerFactory, ServerProcess, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

GOOD = ("one.jpg", "two.png", "three.tif")
TASK_SECONDS = 3


@pytest.fixture(scope="module")
def lasting(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A server that outlives the killing of its workers, which is held against the images they worked on."""
    site = make_site(tmp_path_factory.mktemp("lasting") / "site")
    site.start(module_server)
    return site


@pytest.fixture
def serving(server: ServerFactory, site: Site) -> ServerProcess:
    """A server that a test may end."""
    return site.start(server)


@pytest.fixture
def workers_survive(lasting: Site) -> Iterator[None]:
    """There are as many workers after the test as before it."""
    count = len(lasting.server.workers())
    yield
    deadline = time.monotonic() + 5
    while len(lasting.server.workers()) != count and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(lasting.server.workers()) == count


def load_on(server: ServerProcess) -> Load:
    return Load([server.image_url(name, "").rstrip("/") for name in GOOD], side=200, around=280)


async def assert_serves(server: ServerProcess, parameters: str, seconds: float = 10) -> None:
    """An image that no killed worker had is answered in time, freshly made."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    url = server.image_url("sub/small.png", f"{parameters}/0/default.jpg")
    async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")


@pytest.mark.usefixtures("workers_survive")
async def test_all_workers_killed(lasting: Site) -> None:
    """With every worker gone, the next request waits for a new one."""
    before = lasting.server.workers()
    for worker in before:
        worker.kill()
    await assert_serves(lasting.server, "1,1,30,30/21,", seconds=5)

    assert set(lasting.server.workers()).isdisjoint(before)


@pytest.mark.usefixtures("workers_survive")
async def test_all_workers_killed_again_and_again(lasting: Site) -> None:
    """Three times under load, each time that what was interrupted has been answered: nobody is refused."""
    load = load_on(lasting.server)
    async with load.running():
        for _ in range(3):
            await load.answered(30)
            for worker in lasting.server.workers():
                worker.kill()
        await load.answered(30)

    assert load.failures == {}


async def test_stopped_worker_is_replaced(server: ServerFactory, site: Site) -> None:
    """One that does nothing any more is ended at its task's deadline; the other one serves meanwhile."""
    site.configure(image_timeout=str(TASK_SECONDS))
    serving = site.start(server)
    stopped = serving.workers()[0]
    stopped.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(TASK_SECONDS + 5):
        load = load_on(serving)
        async with load.running():
            await eventually(lambda: not stopped.is_running(), TASK_SECONDS + 5, "it is ended")
    await eventually(lambda: len(serving.workers()) == 2, 5, "another took its place")

    assert set(load.outcomes) <= {"200", "504"}
    assert load.outcomes["504"] <= load.clients
    assert load.outcomes["200"] > 10


def test_poisonous_source_hurts_nobody_else(server: ServerFactory, site: Site) -> None:
    """What stalls workers is set aside, however many ask for it; a good image is served meanwhile."""
    noise = Image.frombytes("RGB", (4000, 4000), random.Random(5).randbytes(3 * 4000 * 4000))
    noise.save(site.images / "poison.png", compress_level=0)
    site.configure(image_timeout="1.5", max_area="100000000")
    serving = site.start(server)
    poison = [RawClient(serving.port, 60) for _ in range(8)]
    statuses = []
    with RawClient(serving.port, 10) as good:
        good.get("/one.jpg/info.json")
        for turn in range(3):
            for number, client in enumerate(poison):
                client.write(f"/poison.png/0,0,4000,{3900 + turn * 8 + number}/max/0/default.avif")
            for step in range(4):
                assert good.get(f"/one.jpg/{turn},{step},90,90/max/0/default.png").status == 200
            answers = [client.read() for client in poison]
            statuses.append({answer.status for answer in answers})
            assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 503)
        aside = [line for line in good.get("/metrics").body.decode().splitlines() if "set_aside" in line]
    for client in poison:
        client.close()

    assert statuses[0] <= {503, 504}
    assert 504 in statuses[0]
    assert statuses[1:] == [{503}, {503}]
    assert "iiif_sources_set_aside 1.0" in aside


def _connections(server: ServerProcess) -> list[object]:
    """Connections that the server still holds open."""
    return [
        connection
        for connection in psutil.Process(server.pid).net_connections()
        if connection.status not in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    ]


@pytest.mark.usefixtures("workers_survive")
async def test_clients_that_go(lasting: Site) -> None:
    """Clients that hang up before the answer leave no work, no connection and no error behind."""
    server = lasting.server
    path = server.image_url("two.png", "{},0,400,400/390,/0/default.png").removeprefix(server.url)
    before = len(_connections(server))
    for x in range(30):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path.format(x)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await assert_serves(server, "3,3,30,30/22,", seconds=5)
    await eventually(lambda: len(_connections(server)) <= before, 10, "their connections are closed")

    assert "Traceback" not in server.output()


@pytest.mark.usefixtures("workers_survive")
async def test_killed_worker_fails_no_request(lasting: Site) -> None:
    """A worker that is killed under load costs its task a second try, and no client an error."""
    load = load_on(lasting.server)
    async with load.running():
        for _ in range(3):
            await load.answered(30)
            lasting.server.workers()[0].kill()
        await load.answered(60)

    assert load.failures == {}


async def test_signal_to_end_under_load(serving: ServerProcess) -> None:
    """SIGTERM ends a busy server with code 0: what was begun is answered, and no process is left."""
    load = load_on(serving)
    with socket.create_connection(("127.0.0.1", serving.port or 0)):  # and one that is idle
        async with load.running():
            await load.answered(20)
            serving.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(serving.wait)

    assert code == 0
    assert serving.tree() == []
    assert set(load.outcomes) <= {"200", "503", "ClientConnectorError"}
    assert "Traceback" not in serving.output()
    for complaint in ("never awaited", "was destroyed", "never retrieved", "Unclosed", "leaked"):
        assert complaint not in serving.output()


async def test_killed_server_leaves_no_worker(serving: ServerProcess) -> None:
    """Workers notice that their server has gone, and go as well."""
    load = load_on(serving)
    async with load.running():
        await load.answered(10)
        serving.process.kill()
        await eventually(lambda: not serving.tree(), 5, "every process of the server is gone")

    assert serving.wait() == -signal.SIGKILL


async def test_killed_server_of_a_stopped_worker(serving: ServerProcess) -> None:
    """Also one that can't notice anything."""
    stopped = serving.workers()[0]
    stopped.suspend()
    serving.process.kill()
    await eventually(lambda: not serving.tree(), 5, "every process of the server is gone")

    assert serving.wait() == -signal.SIGKILL

"""Several server processes on one port, and what becomes of them."""

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from iiif_server.execution.starting import can_fork
from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, eventually, named, serve_command
from tests.support.strict import StrictClients

pytestmark = pytest.mark.e2e

CHILD = "iiif-web"
CONFIG = """\
cache_path: cache
default_profile: files
image_pool_size: 2
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: pictures
    cache_for: {seconds}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for name in ("one.jpg", "two.jpg"):
        drawn_picture(900, 700).save(tmp_path / "pictures" / name)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(seconds=100))
    return path


@pytest.fixture
def serving(server: ServerFactory, config: Path) -> ServerProcess:
    return server.serve("--config", str(config), "--processes", "2")


def children(server: ServerProcess) -> list[psutil.Process]:
    """The processes that answer."""
    return named(CHILD, server.tree())


async def replaced(server: ServerProcess, victim: psutil.Process) -> None:
    """Kill one of the two that answer, and wait until there is another."""
    victim.kill()  # it is in the list for another moment
    await eventually(
        lambda: victim not in children(server) and len(children(server)) == 2, 15, "there is another"
    )


def seconds_of(server: ServerProcess) -> str:
    """What the configuration says of caching, as clients see it. Over a connection of its own."""
    with urllib.request.urlopen(server.image_url("one.jpg"), timeout=30) as response:
        return str(response.headers["Cache-Control"].rpartition("=")[2])


def paths() -> list[str]:
    """Of tiles that are found in the cache, and of some that are rendered."""
    return [
        f"/files:{name}/{x},0,300,300/150,/0/default.jpg"
        for name in ("one.jpg", "two.jpg")
        for x in range(40)
    ]


async def reloaded(server: ServerProcess, times: int) -> None:
    """Wait until the configuration was reloaded so many times."""
    await eventually(lambda: server.output().count("was reloaded") >= times, 30, "the reload is logged")


async def test_processes_share_port_and_workers(serving: ServerProcess) -> None:
    """As many processes as were asked for, each with its part of the workers, said to be ready once."""
    assert len(children(serving)) == 2
    assert len(serving.workers()) == 2
    assert serving.output().count("iiif-server is ready") == 1
    for child in children(serving):
        with StrictClients(serving.port or 0, paths()).running() as clients:
            clients.answered(20)
        assert clients.failures == {}
        child.suspend()  # the other one answers alone
        child.resume()


async def test_kept_connections_are_shared(serving: ServerProcess) -> None:
    """Who was stopped holds up nobody, and has those that come next until it has as many as the other."""
    few = 16
    stopped, other = children(serving)
    async with AsyncExitStack() as stack:
        stopped.suspend()
        for _ in range(few):
            await stack.enter_async_context(asking(serving))
        assert (len(established(stopped)), len(established(other))) == (0, few)
        stopped.resume()
        # Where all processors are busy it may come too late for its turn, and the other takes it for busy for
        # a moment. By chance alone it would catch up in one of fifteen trials.
        others = 0
        for _ in range(5 * few):
            if len(established(other)) > others:
                others = len(established(other))
                await asyncio.sleep(0.15)
            await stack.enter_async_context(asking(serving))
            if len(established(stopped)) >= len(established(other)):
                break
        else:
            pytest.fail(f"{len(established(stopped))} and {len(established(other))} connections")


@asynccontextmanager
async def asking(server: ServerProcess) -> AsyncIterator[None]:
    """A connection that has had an answer, and is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        yield
    finally:
        writer.close()
        await writer.wait_closed()


def established(process: psutil.Process) -> list[object]:
    """Connections that a process has."""
    return [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]


async def test_the_supervisor_is_small(serving: ServerProcess) -> None:
    """It has loaded nothing that a client or a source can reach."""
    loaded = Path(f"/proc/{serving.pid}/maps").read_text()

    assert not [
        name for name in ("aiohttp", "uvloop", "PIL", "numpy", "imagecodecs", "tifffile") if name in loaded
    ]


async def test_a_killed_process_is_replaced(serving: ServerProcess) -> None:
    """Its connections break, nothing else does, and its workers end with it."""
    first, second = children(serving)
    workers = set(serving.workers())
    first.kill()
    await eventually(lambda: len(workers & set(serving.tree())) == 1, 5, "its worker ends with it")
    assert first not in serving.tree()
    await eventually(lambda: len(children(serving)) == 2 and len(serving.workers()) == 2, 15, "it is back")

    assert second.is_running()
    with StrictClients(serving.port or 0, paths()).running() as clients:
        clients.answered(20)
    assert clients.failures == {}


def forking(server: ServerProcess, name: str) -> list[psutil.Process]:
    """The processes that others are forked from."""
    return named(name, server.tree())


@pytest.mark.skipif(not can_fork(), reason="this system forks no workers")
async def test_a_killed_fork_server_is_replaced(serving: ServerProcess) -> None:
    """All processes have one in common; its workers end with it, and others do what they worked on."""
    (before,) = forking(serving, "iiif-fork-work")
    workers = set(serving.workers())
    with StrictClients(serving.port or 0, paths()).running() as clients:
        clients.answered(20)
        before.kill()
        await eventually(lambda: workers.isdisjoint(serving.tree()), 5, "its workers end with it")
        await eventually(lambda: len(serving.workers()) == 2, 15, "others are there")
        clients.answered(20)

    assert clients.failures == {}
    (after,) = forking(serving, "iiif-fork-work")
    assert before != after
    assert {worker.ppid() for worker in serving.workers()} == {after.pid}


async def test_no_template_is_left_once_all_serve(serving: ServerProcess) -> None:
    """Also not after one was needed again."""
    assert forking(serving, "iiif-fork-web") == []
    await replaced(serving, children(serving)[0])
    await eventually(lambda: forking(serving, "iiif-fork-web") == [], 15, "the template is gone")


async def test_killed_again_and_again(serving: ServerProcess) -> None:
    """While one process keeps dying, the other answers."""
    for _ in range(4):
        await replaced(serving, children(serving)[0])
        assert seconds_of(serving) == "100"

    assert serving.process.poll() is None


async def test_a_killed_supervisor_leaves_nobody(serving: ServerProcess) -> None:
    """Server processes and workers end with it."""
    serving.process.kill()
    await eventually(lambda: not serving.tree(), 5, "every process is gone")
    assert serving.wait() == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_every_process_ends_it_well(serving: ServerProcess, number: int) -> None:
    """As a service manager or a terminal sends it: what was begun is answered, and the exit code is 0."""
    with StrictClients(serving.port or 0, paths()).running() as clients:
        clients.answered(20)
        for process in serving.tree():
            with suppress(psutil.NoSuchProcess):  # the first ones end others, and a template ends by itself
                process.send_signal(number)
        code = await asyncio.to_thread(serving.wait)

    assert code == 0
    assert serving.tree() == []
    assert set(clients.outcomes) <= {
        "200",
        "ConnectionRefusedError",
        "RemoteDisconnected",
        "ConnectionResetError",
    }
    assert "Traceback" not in serving.output()


async def test_a_second_signal_ends_it_at_once(serving: ServerProcess) -> None:
    """Whatever is under way."""
    for child in children(serving):
        child.suspend()  # it would take for ever
    serving.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    assert serving.process.poll() is None
    serving.process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(serving.wait) == 128 + signal.SIGTERM
    await eventually(lambda: not serving.tree(), 5, "every process is gone")


@pytest.mark.parametrize("processes", [1, 2])
async def test_reload_under_load(server: ServerFactory, config: Path, processes: int) -> None:
    """No request fails over several reloads, each takes effect, and nothing is left behind."""
    serving = server.serve("--config", str(config), "--processes", str(processes))
    before = len(serving.tree())
    with StrictClients(serving.port or 0, paths()).running() as clients:
        for number in range(1, 4):
            config.write_text(CONFIG.format(seconds=100 + number))
            serving.process.send_signal(signal.SIGHUP)
            await reloaded(serving, number)
            clients.answered(20)
            assert seconds_of(serving) == str(100 + number)

    assert clients.failures == {}
    await eventually(lambda: len(serving.tree()) == before, 30, "the former workers are gone")
    assert serving.terminate() == 0
    assert "Traceback" not in serving.output()


@pytest.mark.parametrize("processes", [1, 2])
async def test_reload_of_a_broken_configuration(server: ServerFactory, config: Path, processes: int) -> None:
    """Its mistakes are logged, once; what serves goes on, and so does what is started in its place."""
    serving = server.serve("--config", str(config), "--processes", str(processes))
    config.write_text(CONFIG.format(seconds="soon"))
    serving.process.send_signal(signal.SIGHUP)
    await eventually(lambda: "was not reloaded" in serving.output(), 30, "the refusal is logged")

    assert serving.output().count("cache_for") == 1
    assert f"{config}:9" in serving.output()
    assert seconds_of(serving) == "100"
    for child in children(serving):
        child.kill()
    assert seconds_of(serving) == "100"

    config.write_text(CONFIG.format(seconds=300))
    serving.process.send_signal(signal.SIGHUP)
    await reloaded(serving, 1)
    await eventually(lambda: seconds_of(serving) == "300", 30, "it takes effect")


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_directory_has_nothing_to_reload(server: ServerFactory, config: Path, processes: int) -> None:
    """SIGHUP says so in the log, and ends nothing."""
    serving = server.serve(str(config.parent / "pictures"), "--processes", str(processes))
    serving.process.send_signal(signal.SIGHUP)
    await eventually(lambda: "nothing to reload" in serving.output(), 10, "it is logged")

    assert serving.terminate() == 0


def test_a_mistake_is_told_once(server: ServerFactory, config: Path) -> None:
    """Not by every process; the exit code is 1."""
    config.write_text(CONFIG.format(seconds="soon"))
    ended = server.started(serve_command("--config", str(config), "--processes", "3"))

    assert ended.wait() == 1
    assert ended.output().count("cache_for") == 1
    assert "Traceback" not in ended.output()
    assert ended.tree() == []


def test_processes_that_die_at_once(server: ServerFactory, config: Path, tmp_path: Path) -> None:
    """What can't start ends the server with the reason after a few attempts."""
    (tmp_path / "uvloop.py").write_text("import os; os._exit(7)")
    arguments = serve_command("--config", str(config), "--processes", "2")
    ended = server.started(arguments, {"PYTHONPATH": str(tmp_path)})

    assert ended.wait() == 1
    assert "ended before it served" in ended.output()
    assert "Traceback" not in ended.output()
    assert ended.tree() == []


def requests_for_info(server: ServerProcess) -> float:
    """How many requests for info.json were answered, as Prometheus reads it. Over a connection of its own."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    samples = [sample for family in families for sample in family.samples]
    return sum(s.value for s in samples if s.name == "iiif_requests_total" and s.labels["kind"] == "info")


async def test_all_processes_count_together(serving: ServerProcess) -> None:
    """Whichever is asked, and also what those have counted that are gone."""
    for _ in range(30):
        seconds_of(serving)
    # An answer may be with the client before it is counted.
    await eventually(lambda: requests_for_info(serving) == 30, 5, "all are counted")
    counted = {requests_for_info(serving) for _ in range(10)}
    killed = children(serving)[0]
    killed.kill()
    await eventually(
        lambda: (
            killed not in children(serving) and len(children(serving)) == 2 and len(serving.workers()) == 2
        ),
        15,
        "it is back",
    )
    seconds_of(serving)
    await eventually(lambda: requests_for_info(serving) == 31, 5, "the last one is counted")

    assert counted == {30.0}
    assert {requests_for_info(serving) for _ in range(10)} == {31.0}


def test_all_processes_log_alike(server: ServerFactory, config: Path) -> None:
    """The supervisor as well, which has not read the configuration."""
    config.write_text(config.read_text() + "log_format: json\n")
    serving = server.serve("--config", str(config), "--processes", "2")
    serving.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while "was reloaded" not in serving.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = [line for line in serving.output().splitlines() if not line.startswith("iiif-server is ready")]

    assert any(json.loads(line)["message"] == "the configuration was reloaded" for line in lines)

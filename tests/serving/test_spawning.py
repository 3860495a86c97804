"""Server processes are forked from a template where that can be done, and are none the worse for it."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from iiif_server.execution.starting import can_fork
from iiif_server.serving import spawning
from iiif_server.serving.orders import Orders
from iiif_server.serving.spawning import Spawned, Spawner
from tests.support.server import named

PLUGIN = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system forks no server processes")


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    made = Spawner(os.environ)
    yield made
    made.close()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """The socket that orders go to a process by."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def ended(process: Spawned) -> int:
    """The exit code of a process that ends."""
    async with asyncio.timeout(20):
        while (code := process.poll()) is None:
            await asyncio.sleep(0.01)
    return code


def templates() -> list[psutil.Process]:
    return named("iiif-fork-web", psutil.Process().children())


async def test_it_is_a_child_of_whoever_asked(
    spawner: Spawner, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Which learns its exit code: 1 for a process whose orders never come."""
    ours, theirs = pair
    process = await spawner.spawn([theirs.fileno()], 30)
    found = psutil.Process(process.pid)
    theirs.close()

    assert found.ppid() == os.getpid()
    assert os.getpgid(process.pid) == process.pid
    ours.close()
    assert await ended(process) == 1


async def test_it_has_only_what_it_was_given(
    spawner: Spawner, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Of all the sockets that there are, here and in the template."""
    _, theirs = pair
    process = await spawner.spawn([theirs.fileno()], 30)
    sockets = []
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it works meanwhile, and closes what it has opened
            sockets += [target for target in [os.readlink(entry)] if "socket" in target]
    process.kill()

    assert os.readlink(f"/proc/self/fd/{theirs.fileno()}") in sockets
    assert os.readlink(f"/proc/self/fd/{pair[0].fileno()}") not in sockets
    assert await ended(process) == -signal.SIGKILL


async def test_the_end_of_the_template_hurts_nobody(
    spawner: Spawner, pair: tuple[socket.socket, socket.socket]
) -> None:
    """It is started again when it is needed again."""
    _, theirs = pair
    first = await spawner.spawn([theirs.fileno()], 30)
    (template,) = templates()
    template.kill()
    async with asyncio.timeout(10):
        while template.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
    second = await spawner.spawn([theirs.fileno()], 30)

    assert first.poll() is None
    assert templates() != [template]
    spawner.close()
    assert templates() == []
    assert (first.poll(), second.poll()) == (None, None)
    for process in (first, second):
        process.kill()
        assert await ended(process) == -signal.SIGKILL


async def test_a_stopped_template_is_given_up(
    spawner: Spawner, pair: tuple[socket.socket, socket.socket]
) -> None:
    """In time, and the next one serves."""
    _, theirs = pair
    first = await spawner.spawn([theirs.fileno()], 30)
    templates()[0].suspend()
    with pytest.raises(OSError, match="nothing came of it"):
        await spawner.spawn([theirs.fileno()], 0.3)
    second = await spawner.spawn([theirs.fileno()], 30)
    for process in (first, second):
        process.kill()
        await ended(process)


async def test_several_at_once(spawner: Spawner, pair: tuple[socket.socket, socket.socket]) -> None:
    """By one template; and no stranger is adopted afterwards."""
    _, theirs = pair
    processes = await asyncio.gather(*(spawner.spawn([theirs.fileno()], 30) for _ in range(4)))
    assert len(templates()) == 1
    for process in processes:
        process.kill()
        await ended(process)
    orphan = await asyncio.create_subprocess_shell(
        "(sleep 0.2; cut -d ' ' -f 4 /proc/self/stat) & exit", stdout=asyncio.subprocess.PIPE
    )
    assert orphan.stdout is not None

    assert int(await orphan.stdout.read()) != os.getpid()
    await orphan.wait()


async def test_a_plugin_that_starts_a_thread_makes_them_interpreters(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    """No process that was forked would have that thread."""
    (tmp_path / "threading_plugin.py").write_text(PLUGIN)
    metadata = tmp_path / "threading_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: threading-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[iiif_server]\nthreading = threading_plugin\n")
    spawner = Spawner({**os.environ, "PYTHONPATH": str(tmp_path)})
    _, theirs = pair
    process = await spawner.spawn([theirs.fileno()], 30)
    command = psutil.Process(process.pid).cmdline()
    process.kill()
    await ended(process)
    spawner.close()

    assert "iiif_server.serving.child" in command
    assert "a plugin starts threads" in caplog.text


async def test_where_nothing_can_be_forked(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Each is an interpreter, and no template is prepared."""
    monkeypatch.setattr(spawning, "can_fork", lambda: False)
    spawner = Spawner(os.environ)
    spawner.prepare(Orders())
    ours, theirs = pair
    process = await spawner.spawn([theirs.fileno()], 30)

    assert spawner.template is None
    theirs.close()
    ours.close()
    assert await ended(process) == 1

"""The fork server dies, hangs or can't start: it is replaced, and no request is lost over it."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from iiif_server.execution import keeper as module
from iiif_server.execution.keeper import ForkServerKeeper
from iiif_server.execution.starting import SharedForkServer, can_fork
from tests.execution.conftest import PoolMaker, task
from tests.execution.test_adoption import adopts
from tests.support.server import eventually, named

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system forks no workers")

HANDLERS = "tests.execution.handlers"


@pytest.fixture
async def keeper() -> AsyncIterator[ForkServerKeeper]:
    made = ForkServerKeeper(HANDLERS, 10)
    yield made
    await made.close()


def fork_server() -> psutil.Process:
    (found,) = named("iiif-fork-work", psutil.Process().children())
    return found


async def another_than(former: psutil.Process) -> psutil.Process:
    """The fork server that took the place of another."""
    async with asyncio.timeout(10):
        while former.is_running() or not named("iiif-fork-work", psutil.Process().children()):
            await asyncio.sleep(0.01)
    return fork_server()


async def test_a_killed_fork_server_is_replaced_and_no_request_fails(make_pool: PoolMaker) -> None:
    """Its workers end with it; what they worked on is done by others."""
    pool = await make_pool(workers=2)
    before = fork_server()
    workers = before.children()
    asked = [asyncio.create_task(pool.run(task("sleep", 0.3))) for _ in range(6)]
    await asyncio.sleep(0.1)
    before.kill()

    assert len(await asyncio.wait_for(asyncio.gather(*asked), 20)) == 6
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert (await another_than(before)).pid != before.pid
    assert pool.status()["quarantined"] == 0


async def test_a_stopped_fork_server_is_replaced(
    make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has not answered for as long as a start may take; till then workers work on."""
    monkeypatch.setattr(module, "ASK_SECONDS", 0.1)
    pool = await make_pool(workers=1, start_timeout=1.5)
    before = fork_server()
    before.suspend()
    worker = (await pool.run(task("echo"))).meta["pid"]
    os.kill(worker, signal.SIGKILL)

    assert (await asyncio.wait_for(pool.run(task("echo")), 20)).meta["pid"] != worker
    assert (await another_than(before)).is_running()


async def test_a_start_that_a_stopped_fork_server_does_not_answer_fails_in_time(
    make_pool: PoolMaker,
) -> None:
    """The pool says so, and tries again; whoever asks meanwhile is not kept waiting."""
    pool = await make_pool(workers=1, start_timeout=1.5)
    server = fork_server()
    server.suspend()
    os.kill((await pool.run(task("echo"))).meta["pid"], signal.SIGKILL)
    asked = asyncio.create_task(pool.run(task("echo")))
    await asyncio.wait((asked,), timeout=10)
    server.resume()

    assert "busy" in str(asked.exception())
    async with asyncio.timeout(10):
        while pool.status()["ready"] != 1:
            await asyncio.sleep(0.01)
    await pool.run(task("echo"))


async def test_a_module_that_takes_its_process_down_fails_the_start_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text("import os; os._exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    keeper = ForkServerKeeper("deadly", 60)
    started = time.perf_counter()
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(OSError, match="before it was ready"):
        await keeper.start(theirs)
    await keeper.close()

    assert time.perf_counter() - started < 30


async def test_what_loads_for_it_is_gone_once_it_is_there(make_pool: PoolMaker) -> None:
    """So that nothing is left of what loading took; and no strangers are adopted any more."""
    await make_pool(workers=1)

    # The first worker may be there before it is noticed that the loading process has ended.
    await eventually(lambda: not adopts(), 10, "adopting ends")
    assert "iiif-load-work" not in [child.name() for child in psutil.Process().children()]
    assert fork_server().children()


async def test_it_is_killed_while_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked of it fails at once; another one loads."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "if not pathlib.Path(__file__).with_name('once').exists():\n"
        "    pathlib.Path(__file__).with_name('once').touch()\n"
        "    time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    keeper = ForkServerKeeper("slow", 30)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        starting = asyncio.create_task(keeper.start(theirs))
        async with asyncio.timeout(30):
            while not (tmp_path / "once").exists():
                await asyncio.sleep(0.01)
        (loader,) = named("iiif-load-work", psutil.Process().children())
        assert keeper.pid is None
        loader.kill()
        with pytest.raises(OSError, match="before it was ready"):
            await asyncio.wait_for(starting, 30)
        forked = await keeper.start(theirs)
        assert psutil.Process(forked.pid).ppid() == keeper.pid == fork_server().pid
        forked.close()
    await keeper.close()


async def test_a_module_that_never_ends_loading_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After as long as a start may take; whoever waits for it is told."""
    (tmp_path / "endless.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    keeper = ForkServerKeeper("endless", 0.3)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(OSError, match="before it was ready"):
        await asyncio.wait_for(keeper.start(theirs), 30)
    await keeper.close()

    assert "does not answer" in caplog.text
    assert not [child for child in psutil.Process().children() if child.name().startswith("iiif-load")]


async def test_a_module_that_can_not_be_imported_leaves_it_to_the_factory(make_pool: PoolMaker) -> None:
    """Which may do without, or tells what is wrong."""
    pool = await make_pool(workers=1, preload="there.is.none")

    assert (await pool.run(task("echo", 1))).meta["value"] == 1


async def test_others_ask_it_as_well(keeper: ForkServerKeeper) -> None:
    """Over a copy of the same socket; and more than it takes at a time."""
    others = SharedForkServer(keeper.requests.fileno())
    pairs = [socket.socketpair() for _ in range(40)]
    forked = await asyncio.gather(*(others.start(theirs) for _, theirs in pairs))
    pids = {each.pid for each in forked}
    for each in forked:
        each.close()
    for pair in pairs:
        for sock in pair:
            sock.close()
    await others.close()

    assert len(pids) == 40
    async with asyncio.timeout(10):
        while fork_server().children():
            await asyncio.sleep(0.01)


async def test_it_is_closed_while_it_starts(keeper: ForkServerKeeper) -> None:
    """Whatever is waited for ends as well."""
    before = set(psutil.Process().children())  # of other tests in this process
    ours, theirs = socket.socketpair()
    with ours, theirs:
        starting = asyncio.create_task(keeper.start(theirs))
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait((starting,))
        await keeper.close()

    assert starting.cancelled()
    assert set(psutil.Process().children()) <= before

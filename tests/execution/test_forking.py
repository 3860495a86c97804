"""Workers that were forked: what they share, what they do not, and that codecs do not mind."""

import asyncio
import signal
import socket
from pathlib import Path

import psutil
import pytest

from iiif_server.errors import UnreadableSource
from iiif_server.execution.keeper import ForkServerKeeper
from iiif_server.execution.settings import IMAGE_WORK
from iiif_server.execution.starting import can_fork, fork, readable
from iiif_server.execution.tether import HERE
from iiif_server.imaging.tasks import RenderTask, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.execution.conftest import PoolMaker, task
from tests.imaging.helpers import PIXELS_ONLY, Bench
from tests.support.samples import SAMPLES
from tests.support.server import named

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system forks no workers")


def fork_server() -> psutil.Process:
    """The only one of this test."""
    (found,) = named("iiif-fork-work", psutil.Process().children())
    return found


def rendered_here(directory: Path) -> list[tuple[RenderTask, bytes]]:
    """Samples of every format that is read as JPEG, and one sample in every format that is written."""
    bench = Bench(Workbench(WorkbenchSettings()))
    files = [make() for kinds in SAMPLES.values() for make in kinds.values()]
    sources = [directory / f"{number}.image" for number in range(len(files))]
    for path, content in zip(sources, files, strict=True):
        path.write_bytes(content)
    formats = bench.workbench.abilities(None)[0]["formats"]
    assert len(formats) > 5
    found = []
    for path, suffix in [(path, "jpg") for path in sources] + [(sources[0], each) for each in formats]:
        request = f"10,10,60,40/50,/0/default.{suffix}"
        try:
            render = RenderTask(SourceFile(str(path), "1"), bench.operation(path, request), PIXELS_ONLY)
            found.append((render, bench.workbench.render(render)[1]))
        except UnreadableSource:  # JPEGs of 12 bits
            continue
    bench.workbench.close()
    assert len(found) > 40
    return found


async def test_every_format_is_read_and_written_as_without_forking(
    make_pool: PoolMaker, tmp_path: Path
) -> None:
    """Byte for byte, by two workers whose codecs were loaded before they were forked."""
    pool = await make_pool("create_real", factory_argument=WorkbenchSettings(), preload=IMAGE_WORK)
    for number, (render, expected) in enumerate(await asyncio.to_thread(rendered_here, tmp_path)):
        for affinity in ("", f"another {number}"):
            assert (await pool.run(task("render", render, affinity))).body == expected

    assert fork_server().num_threads() == 1


async def test_the_image_work_is_there_before_the_fork(make_pool: PoolMaker) -> None:
    """And nothing of the web or of event loops."""
    pool = await make_pool("create_real", factory_argument=WorkbenchSettings(), preload=IMAGE_WORK, workers=1)
    modules = set((await pool.run(task("modules"))).meta["modules"])

    assert modules >= {"iiif_server.imaging.workbench", "tifffile", "numpy", "imagecodecs"}
    assert {"asyncio", "aiohttp", "multiprocessing"}.isdisjoint(modules)


async def test_workers_differ_in_what_is_random(make_pool: PoolMaker) -> None:
    pool = await make_pool(workers=1, max_tasks=1)
    numbers = [(await pool.run(task("random"))).meta["number"] for _ in range(3)]

    assert len(set(numbers)) == 3


async def test_each_worker_has_a_process_group_of_its_own(make_pool: PoolMaker) -> None:
    """A signal to one group reaches one process."""
    await make_pool(workers=2)
    server = fork_server()
    family = [server, *server.children()]

    assert [process.name() for process in family] == ["iiif-fork-work", "iiif-worker", "iiif-worker"]
    assert [group(process) for process in family] == [process.pid for process in family]


@pytest.mark.parametrize(
    ("how", "code"), [("exit", 3), ("segfault", -signal.SIGSEGV), ("kill", -signal.SIGKILL)]
)
async def test_how_a_worker_ended_is_told(
    make_pool: PoolMaker, caplog: pytest.LogCaptureFixture, how: str, code: int
) -> None:
    """As if the pool were its parent."""
    pool = await make_pool(workers=1)
    with pytest.raises(Exception, match="could not be processed"):
        await pool.run(task("crash", how))

    assert f"worker ended with code {code} over crash" in caplog.text


async def test_a_worker_ends_with_its_tether(tmp_path: Path) -> None:
    """Whoever asked for it has gone, even if it is at work or stopped."""
    keeper = ForkServerKeeper("tests.execution.handlers", 10)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        forked = await keeper.start(theirs)
        worker = psutil.Process(forked.pid)
        worker.suspend()
        forked.close()
        _, alive = psutil.wait_procs([worker], timeout=5)
    await keeper.close()

    assert not alive


async def test_an_answer_without_a_process_is_a_start_that_failed() -> None:
    """As from a fork server that could not receive all of a request."""
    requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with requests, theirs:
        requests.setblocking(False)
        starting = asyncio.create_task(fork(requests, theirs))
        await readable(theirs.fileno())
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 2)
        for number, descriptor in enumerate(descriptors):
            with socket.socket(fileno=descriptor) as sock:
                if number == 0:
                    sock.send(HERE)
        with pytest.raises(OSError, match="before it was ready"):
            await starting


def group(process: psutil.Process) -> int:
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[2])

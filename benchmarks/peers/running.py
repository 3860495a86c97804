"""A server's processes: begun in sessions of their own, watched, and all gone in the end."""

import contextlib
import http.client
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from tests.support.server import free_port

START_DEADLINE = 60.0
STOP_DEADLINE = 10.0
MIB = 1024 * 1024


class DidNotStartError(RuntimeError):
    """A server answers nothing; the text ends with what it printed."""


class Running:
    """What one start of a server is made of; it ends with the block.

    Args:
        images: the directory of the sources.
        installed: the directory that peers were installed into.
        body: the mean bytes of our answers, for those who send constant ones.

    Attributes:
        port: that the server is to listen on.
        scratch: an empty directory of its own.
    """

    def __init__(self, images: Path, installed: Path, body: int = 0) -> None:
        self.images, self.installed, self.body = images, installed, body
        self.port = free_port()
        self.scratch = Path(tempfile.mkdtemp(prefix="iiif-peer-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_DEADLINE)
        for child in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for process in self._processes:
            process.wait(STOP_DEADLINE)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def spawn(self, *command: str, stdin: int = subprocess.DEVNULL, **variables: str) -> None:
        """Start a process in a session of its own; its variables are added to this process's."""
        with (self.scratch / "output.txt").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.scratch,
                    env={**os.environ, **variables},
                    stdin=stdin,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def wait_for(self, path: str) -> None:
        """Until this path is answered, with success."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and all(process.poll() is None for process in self._processes):
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get(path) == 200:
                    return
            time.sleep(0.05)
        raise DidNotStartError((self.scratch / "output.txt").read_text(errors="replace")[-600:])

    def get(self, path: str) -> int:
        """The status of one answer, read to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_DEADLINE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def tree(self) -> list[psutil.Process]:
        """Every living process, orphans too."""
        sessions = {process.pid for process in self._processes}
        return [process for process in psutil.process_iter() if _session(process) in sessions]

    def memory(self) -> float:
        """Proportional set size of all processes, in MiB: what they share counts once."""
        return sum(_proportional(process) for process in self.tree()) / MIB

    def processor_seconds(self) -> float:
        """What the living processes have taken."""
        total = 0.0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def wait_until_idle(self, seconds: float = 60.0) -> None:
        """Until the processes take less than a tenth of one processor for a second."""
        deadline = time.monotonic() + seconds
        before = self.processor_seconds()
        while time.monotonic() < deadline:
            time.sleep(1)
            after = self.processor_seconds()
            if after - before < 0.1:
                return
            before = after

    @contextlib.contextmanager
    def watched_memory(self) -> Iterator[list[float]]:
        """Samples of `memory`, taken while the block runs and once more at its end."""
        samples = [self.memory()]
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(0.1):
                samples.append(self.memory())

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield samples
        finally:
            ended.set()
            thread.join()
            samples.append(self.memory())


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else 0
    except (ProcessLookupError, psutil.NoSuchProcess):
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0

"""A real server in a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

WORKER = "iiif-worker"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)\b")
START_DEADLINE = 30.0
STOP_DEADLINE = 20.0


def serve_command(*arguments: str, port: int = 0) -> list[str]:
    """What makes Python serve; the port is a free one unless it is given."""
    return ["-m", "iiif_server", "serve", *arguments, "--host", "127.0.0.1", "--port", str(port)]


class ServerFailedError(AssertionError):
    """The server did not start; the text holds what it printed."""


class ServerProcess:
    """One `iiif-server` and its process tree.

    Args:
        arguments: what follows ``python``, for example ``-m iiif_server serve DIR``.
        scratch: a directory for the caches and the output.
        env: variables besides those of this process.
    """

    def __init__(
        self,
        arguments: list[str],
        scratch: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.cache = scratch / "cache"
        self._log = scratch / "output.txt"
        # Not the caller's PYTHONUNBUFFERED: whoever reads the address from a pipe must get it, too.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        variables = inherited | {"XDG_CACHE_HOME": str(self.cache)} | dict(env or {})
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, the test's own arguments
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
            )
        self.pid = self.process.pid
        self.port: int | None = None

    @property
    def url(self) -> str:
        """The address without a slash at the end."""
        assert self.port is not None, "wait_until_ready() first"
        return f"http://127.0.0.1:{self.port}"

    def image_url(
        self, name: str, parameters: str = "info.json", prefix: str = "/iiif/3", profile: str = "files"
    ) -> str:
        """The URL of an image request for a file by its path below the served directory."""
        return f"{self.url}{prefix}/{profile}:{quote(name, safe='')}/{parameters}"

    def output(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Wait for the printed address."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailedError(f"the server ended with {self.process.returncode}:\n{self.output()}")
            if found := ADDRESS.search(self.output()):
                self.port = int(found[1])
                return
            time.sleep(0.05)
        raise ServerFailedError(f"no address was printed within {START_DEADLINE} s:\n{self.output()}")

    def tree(self) -> list[psutil.Process]:
        """Every living process of this server, orphans too: all are in the session that it began."""
        return [process for process in psutil.process_iter() if _is_alive_in_session(process, self.pid)]

    def workers(self) -> list[psutil.Process]:
        """The living workers."""
        return [process for process in self.tree() if _name(process) == WORKER]

    def terminate(self) -> int:
        """Ask the server to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the server to end by itself, and return its exit code."""
        return self.process.wait(STOP_DEADLINE)

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.poll() is None:
                self.terminate()
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(STOP_DEADLINE)


class ServerFactory:
    """Starts servers for a test and ends them after it."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.servers: list[ServerProcess] = []

    def serve(self, *arguments: str) -> ServerProcess:
        """Run ``iiif-server serve`` with these arguments, on a free port, until it accepts connections."""
        return self.command(serve_command(*arguments))

    def directory(self, path: Path) -> ServerProcess:
        """Serve a directory without a configuration."""
        return self.serve(str(path))

    def command(self, arguments: list[str], env: Mapping[str, str] | None = None) -> ServerProcess:
        """Start any command, and wait until it has printed its address."""
        server = self.started(arguments, env)
        server.wait_until_ready()
        return server

    def started(self, arguments: list[str], env: Mapping[str, str] | None = None) -> ServerProcess:
        """Start any command, and return at once."""
        server = ServerProcess(arguments, self._scratch / f"server-{len(self.servers)}", env)
        self.servers.append(server)
        return server

    def end(self) -> None:
        """End every server that was started."""
        for server in self.servers:
            server.end()


@contextlib.contextmanager
def server_factory(scratch: Path) -> Iterator[ServerFactory]:
    """A factory whose servers are gone afterwards."""
    factory = ServerFactory(scratch)
    try:
        yield factory
    finally:
        factory.end()


def _is_alive_in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""

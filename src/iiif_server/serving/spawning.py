"""How a server process comes into being: forked where that can be done, else as an interpreter of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final, Protocol

from iiif_server.execution.adoption import adopting
from iiif_server.execution.starting import can_fork, readable, send_request
from iiif_server.execution.tether import NUMBER
from iiif_server.serving.orders import Orders

UNFIT: Final = 3
"""The template's exit code if a plugin has started a thread, which no process that is forked would have."""

logger = logging.getLogger(__name__)


class Spawned(Protocol):
    """A server process, as far as its end is concerned. It is a child of this process."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit code once it has ended, negative for a signal."""

    def kill(self) -> None:
        """End it."""


class Child:
    """A child of this process that no :class:`subprocess.Popen` knows of.

    Args:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code once it has ended."""
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def kill(self) -> None:
        """End it. Its process id is its own until :meth:`poll` has told its end."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


class Spawner:
    """Starts server processes.

    They are forked from a template, which is started when it is needed and is not there. If a plugin does not
    bear that, each is an interpreter that imports everything by itself.

    All of it runs on the main thread: Linux ties ``PR_SET_PDEATHSIG`` to the thread that forked.

    Args:
        environment: of the processes.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._forks = can_fork()
        self._template: Child | subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    @property
    def template(self) -> int | None:
        """Process id of the template, if there is one."""
        return self._template.pid if self._template else None

    def prepare(self, orders: Orders) -> None:
        """Fork the first template from this process, to share with it what both have loaded.

        Called before this process does anything that does not survive a fork, or is better not survived.

        Args:
            orders: whose configuration the template reads, for all processes that will have the same.
        """
        if not self._forks:
            return
        self._requests, theirs = _requests()
        parent = os.getpid()
        gc.collect()
        gc.freeze()
        if pid := os.fork():
            theirs.close()
            self._template = Child(pid)
            return
        self._requests.close()
        try:
            _keep_only(theirs.fileno())
            os.setpgid(0, 0)
            os.environ.update(self._environment)
            if not sys.flags.safe_path:
                del sys.path[0]  # as -P: a file named json.py in the working directory is not ours
            # By its name: this process must not load what that one is for.
            code = import_module("iiif_server.serving.template").main(theirs.detach(), parent, orders)
        except BaseException:  # noqa: BLE001 - the end of this process
            traceback.print_exc()
            code = 1
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)  # what the supervisor cleans up at its end is not this process's

    async def spawn(self, descriptors: Sequence[int], seconds: float) -> Spawned:
        """Start a process that has copies of these descriptors.

        Raises:
            OSError: that can't be done, or took longer than so many seconds.
        """
        if self._forks:
            try:
                async with asyncio.timeout(seconds):
                    return await self._fork(descriptors)
            except TimeoutError:
                self.close()
                raise OSError(f"nothing came of it within {seconds:g} seconds") from None
            except OSError:
                if self._template is None or await self._exit_code(self._template) != UNFIT:
                    raise
            self._forks = False
            logger.warning("a plugin starts threads when it is loaded: server processes share no memory")
        return self._run("iiif_server.serving.child", descriptors)

    def close(self) -> None:
        """End the template. Those that were forked live on."""
        if self._template is not None:
            self._template.kill()
            self._template.wait()
            self._template = None
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    async def _fork(self, descriptors: Sequence[int]) -> Child:
        if self._requests is None or self._template is None or self._template.poll() is not None:
            self._start_template()
        assert self._requests is not None
        ours, theirs = socket.socketpair()
        with ours, adopting():
            ours.setblocking(False)
            with theirs:
                await send_request(self._requests, theirs.fileno(), *descriptors)
            told = b""
            while True:
                await readable(ours.fileno())
                if not (more := ours.recv(NUMBER.size)):
                    break
                told += more
        if not told:
            raise OSError("it ended before it served")
        return Child(NUMBER.unpack(told)[0])

    def _start_template(self) -> None:
        self.close()
        self._requests, theirs = _requests()
        with theirs:
            self._template = self._run("iiif_server.serving.template", [theirs.fileno()])

    def _run(self, module: str, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        # -P: a file named json.py in the working directory is not ours.
        numbers = [str(number) for number in (os.getpid(), *descriptors)]
        return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-P", "-m", module, *numbers],
            stdin=subprocess.DEVNULL,
            pass_fds=tuple(descriptors),
            process_group=0,  # Ctrl-C in a terminal is for the supervisor alone
            env=dict(self._environment),
        )

    async def _exit_code(self, process: Spawned) -> int | None:
        """Of a process whose socket has ended, and which is about to end itself."""
        for _ in range(100):
            if (code := process.poll()) is not None:
                return code
            await asyncio.sleep(0.01)
        return None


def _keep_only(descriptor: int) -> None:
    """Close what an interpreter of its own would not have inherited, and let go of the terminal."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != descriptor:
            with suppress(OSError):  # the one that listed them
                os.close(int(name))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _requests() -> tuple[socket.socket, socket.socket]:
    """A socket to send requests by, and its other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs

"""How a worker process comes into being: forked where that can be done, else as an interpreter of its own."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol

from iiif_server.execution.tether import NUMBER

_FULL_SECONDS: Final = 0.01
"""After which a request is tried again that there was no room for."""


class Process(Protocol):
    """A worker process, as far as its start and end are concerned."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit code once it has ended, negative for a signal."""

    def kill(self) -> None:
        """End it, even if it is stopped."""

    def close(self) -> None:
        """Let go of what there is to watch it by."""


class WorkerSource(Protocol):
    """Where workers come from."""

    async def start(self, sock: socket.socket) -> Process:
        """Start a worker that works on a socket, of which it gets a copy.

        Raises:
            OSError: it can't be started.
        """

    async def close(self) -> None:
        """Start no more, and end those that are still there."""


def can_fork() -> bool:
    """Whether this system has what forking workers takes: Linux 5.3 or newer, and nothing that forbids it."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class Interpreter(subprocess.Popen[bytes]):
    """A worker in an interpreter of its own, which imports everything by itself."""

    def close(self) -> None:
        """Nothing to let go of."""


class Interpreters:
    """Starts workers without forking.

    One thread starts all of them, and outlives them: Linux ties ``PR_SET_PDEATHSIG`` to the thread that
    forked.
    """

    def __init__(self) -> None:
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="worker-launcher")

    async def start(self, sock: socket.socket) -> Interpreter:
        """Start a worker that imports everything by itself."""
        loop = asyncio.get_running_loop()
        try:
            starting = loop.run_in_executor(self._launcher, _spawn, sock.fileno())
        except RuntimeError as error:  # no thread to be had
            raise OSError(str(error)) from error
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            process = await starting
            process.kill()
            await loop.run_in_executor(self._launcher, process.wait)
            raise

    async def close(self) -> None:
        """Start no more."""
        self._launcher.shutdown(wait=False)


def _spawn(descriptor: int) -> Interpreter:
    """Start the interpreter: 1 to 4 ms, with vfork whatever the size of the server."""
    return Interpreter(
        # -P: a file named json.py in the working directory is not ours.
        [sys.executable, "-P", "-m", "iiif_server.execution.worker", str(descriptor), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        pass_fds=[descriptor],
        process_group=0,  # Ctrl-C in a terminal is for the server alone
    )


class Forked:
    """A worker that was forked elsewhere: the fork server is its parent, and tells of its end.

    Args:
        pid: its process id.
        descriptor: of the process; it is owned from now on.
        tether: where its exit code comes; it is owned from now on.
    """

    def __init__(self, pid: int, descriptor: int, tether: socket.socket) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._tether = tether
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code. If the fork server has gone, it ended as that had the kernel end it: by SIGKILL."""
        if self._code is None and self._descriptor >= 0 and _is_readable(self._descriptor):
            try:
                told = self._tether.recv(NUMBER.size)
            except BlockingIOError:  # the fork server is about to tell
                return None
            except OSError:
                told = b""
            self._code = NUMBER.unpack(told)[0] if told else -signal.SIGKILL
        return self._code

    def kill(self) -> None:
        """End it, even if it is stopped, or the fork server is."""
        if self._descriptor >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it; should it still be there, the fork server ends it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._tether.close()


class SharedForkServer:
    """A fork server that another process keeps, for several.

    Args:
        descriptor: of the socket that it takes requests from the other end of.
    """

    def __init__(self, descriptor: int) -> None:
        self._requests = socket.socket(fileno=os.dup(descriptor))

    async def start(self, sock: socket.socket) -> Forked:
        """Start a worker; see :func:`fork`."""
        return await fork(self._requests, sock)

    async def close(self) -> None:
        """Start no more. The fork server ends each worker whose tether has ended."""
        self._requests.close()


async def fork(requests: socket.socket, sock: socket.socket) -> Forked:
    """Have the fork server start a worker.

    Whoever stops waiting leaves no worker behind: the end of the tether ends it.

    Args:
        requests: what the fork server takes requests from the other end of; non-blocking.
        sock: that the worker is to work on.

    Raises:
        OSError: it can't fork, or it ended before it did.
    """
    tether, theirs = socket.socketpair()
    try:
        tether.setblocking(False)
        with theirs:
            await send_request(requests, theirs.fileno(), sock.fileno())
        await readable(tether.fileno())
        told, descriptors, _, _ = socket.recv_fds(tether, NUMBER.size, 1, socket.MSG_CMSG_CLOEXEC)
        if not descriptors:  # or the fork server had no room for what it was sent
            raise OSError("it ended before it was ready")
        return Forked(NUMBER.unpack(told)[0], descriptors[0], tether)
    except BaseException:
        tether.close()
        raise


async def send_request(requests: socket.socket, *descriptors: int) -> None:
    """Hand copies of descriptors to whoever forks, as soon as there is room for one more request."""
    while True:
        try:
            socket.send_fds(requests, [b"?"], descriptors)
        except BlockingIOError:
            await asyncio.sleep(_FULL_SECONDS)
        else:
            return


async def readable(descriptor: int) -> None:
    """Wait until there is something to read from a descriptor, or its end."""
    loop = asyncio.get_running_loop()
    there = loop.create_future()

    def tell() -> None:
        if not there.done():
            there.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await there
    finally:
        loop.remove_reader(descriptor)


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

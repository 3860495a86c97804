"""Keeps the process that workers are forked from; and which way workers come into being."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final

from iiif_server.execution.adoption import Ward, adopting
from iiif_server.execution.settings import PoolSettings
from iiif_server.execution.starting import (
    Forked,
    Interpreters,
    SharedForkServer,
    WorkerSource,
    can_fork,
    fork,
    readable,
    send_request,
)
from iiif_server.execution.tether import HERE, NUMBER

ASK_SECONDS: Final = 5.0
"""How often the fork server is asked whether it still takes requests."""

_LONGEST_PAUSE: Final = 5.0
_END_SECONDS: Final = 2.0
_NO_ANSWER: Final = "the process that workers are forked from does not answer"

logger = logging.getLogger(__name__)


def worker_source(settings: PoolSettings) -> WorkerSource:
    """Forked where that can be done, from somebody else's fork server if there is one."""
    if settings.fork_server is not None:
        return SharedForkServer(settings.fork_server)
    if can_fork():
        return ForkServerKeeper(
            settings.preload or settings.factory.partition(":")[0], settings.start_timeout
        )
    return Interpreters()


class ForkServerKeeper:
    """Always has a fork server, for all who send requests over the same socket.

    The socket outlives the fork server: what was asked of one that died is answered by the next. One that
    does not answer is replaced; workers end with theirs.

    Args:
        module: that is imported once for all workers.
        patience: seconds in which a fork server has to answer, from its start and later.

    Attributes:
        requests: what requests are sent over, by other processes as well.
    """

    def __init__(self, module: str, patience: float) -> None:
        self._module = module
        self._patience = patience
        # Messages keep their bounds and their descriptors, whoever sends them.
        self.requests, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (self.requests, self._theirs):
            sock.setblocking(False)
        # Linux ties PR_SET_PDEATHSIG to the thread that forked: this one lives as long as the keeper.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="fork-server-launcher")
        self._server: Ward | None = None
        self._keeper = asyncio.create_task(self._keep(), name="fork server")

    @property
    def pid(self) -> int | None:
        """Process id of the fork server, once there is one."""
        return self._server.pid if self._server else None

    async def start(self, sock: socket.socket) -> Forked:
        """Start a worker that works on a socket; see :func:`fork`."""
        return await fork(self.requests, sock)

    async def close(self) -> None:
        """End the fork server, and every worker that is still there with it."""
        self._keeper.cancel()
        await asyncio.wait((self._keeper,))
        self._launcher.shutdown(wait=False)
        self.requests.close()
        self._theirs.close()

    async def _keep(self) -> None:
        """Have one fork server after the other."""
        failures = 0
        while True:
            was_of_use = False
            try:
                was_of_use = await self._employ()
            except (OSError, RuntimeError) as error:  # out of descriptors, processes, threads
                problem = f"the process that workers are forked from can't be started: {error}"
                logger.error(problem)  # noqa: TRY400 - no traceback for what the system refuses
            failures = 0 if was_of_use else failures + 1
            if failures:
                self._refuse()
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10)))

    async def _employ(self) -> bool:
        """One fork server from its start to its end; says whether it ever answered."""
        news, theirs = socket.socketpair()
        with news:
            news.setblocking(False)
            with theirs:
                loader = await self._load(theirs)
            server = None
            try:
                server = self._server = await self._told_of_server(news)
                if server is not None:
                    with adopting():
                        await self._end(loader)
                news.close()  # not before: its end would end the loader as well
                was_of_use = server is not None and await self._watch(server.pid)
            finally:
                await self._end(loader)
                if server is not None:
                    await self._end(server)
        code = (server or loader).returncode
        logger.warning("the process that workers are forked from ended with code %s", code)
        return was_of_use

    async def _load(self, news: socket.socket) -> subprocess.Popen[bytes]:
        """Start what becomes the fork server's parent for a moment."""
        loop = asyncio.get_running_loop()
        starting = loop.run_in_executor(
            self._launcher, _spawn, self._theirs.fileno(), news.fileno(), self._module
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._end(await starting)
            raise

    async def _told_of_server(self, news: socket.socket) -> Ward | None:
        """The fork server once it is there; nothing if it can't start, or takes too long."""
        try:
            async with asyncio.timeout(self._patience):
                await readable(news.fileno())
        except TimeoutError:
            logger.error(_NO_ANSWER)  # noqa: TRY400 - it is not this process's fault
            return None
        told = news.recv(NUMBER.size)
        return Ward(NUMBER.unpack(told)[0]) if told else None

    async def _watch(self, pid: int) -> bool:
        """Until it has ended or does not answer; says whether it ever did."""
        has_answered = False
        descriptor = os.pidfd_open(pid)
        ended = asyncio.create_task(readable(descriptor))
        try:
            while not ended.done():
                asking = asyncio.create_task(self._ask())
                await asyncio.wait(
                    (ended, asking), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not asking.done():
                    asking.cancel()
                    await asyncio.wait((asking,))
                    if not ended.done():
                        logger.error(_NO_ANSWER)
                    break
                if not asking.result():
                    break
                has_answered = True
                await asyncio.wait((ended,), timeout=ASK_SECONDS)
        finally:
            ended.cancel()
            await asyncio.wait((ended,))
            os.close(descriptor)
        return has_answered

    async def _ask(self) -> bool:
        """Wait for an answer to the question whether anybody is there; says whether one came."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs:
                await send_request(self.requests, theirs.fileno())
            await readable(ours.fileno())
            return ours.recv(len(HERE)) == HERE

    async def _end(self, process: subprocess.Popen[bytes] | Ward) -> None:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.get_running_loop().run_in_executor(
                self._launcher, partial(process.wait, _END_SECONDS)
            )

    def _refuse(self) -> None:
        """Let those fail at once who wait for a fork server that can't start."""
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._theirs, 1, 2, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                os.close(descriptor)
            if not message:
                return


def _spawn(descriptor: int, news: int, module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        # -P: a file named json.py in the working directory is not ours.
        [
            sys.executable,
            "-P",
            "-m",
            "iiif_server.execution.forking",
            *map(str, (descriptor, news, os.getpid())),
            module,
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=[descriptor, news],
        process_group=0,  # Ctrl-C in a terminal is for the server alone
        # numpy's library of linear algebra starts threads where it is loaded, and nobody uses them.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )

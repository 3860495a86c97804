"""One worker process, as the server sees it."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from iiif_server.execution.framing import FrameDecoder, FrameError, encode_head
from iiif_server.execution.messages import Orders
from iiif_server.execution.starting import Process, WorkerSource

_REAP_PATIENCE = 1.0


class WorkerStartFailed(RuntimeError):
    """A worker could not be started, or its factory failed.

    Args:
        reason: one line.
        details: the worker's traceback, if there is one.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(f"A worker process did not start: {reason}" + (f"\n{details}" if details else ""))
        self.reason = reason
        self.details = details


class WorkerProcess(asyncio.BufferedProtocol):
    """A worker's life from its start to its end; it never comes back.

    Nothing here waits for the worker: what it sends is taken in as it comes, so that one that is stopped in
    the middle of an answer costs the event loop nothing.

    Args:
        source: where the process comes from.
        orders: what the worker is told first.
        on_answer: called with header and body of each answer.

    Attributes:
        ended: set once nothing more comes from this worker.
        tasks: how many it was sent.
        unread: it ended before it read the last of them, so that one can't have been the cause.
    """

    def __init__(
        self, source: WorkerSource, orders: Orders, on_answer: Callable[[bytes, bytes], None]
    ) -> None:
        self._source = source
        self._orders = orders
        self._on_answer = on_answer
        self._decoder = FrameDecoder(self._take_frame, max_body=orders.max_answer)
        self._process: Process | None = None
        self._launching: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._unsent = False
        self.ended = asyncio.Event()
        self.tasks = 0
        self.unread = False

    @property
    def pid(self) -> int | None:
        """The process id, once there is one."""
        return self._process.pid if self._process else None

    async def start(self, patience: float) -> None:
        """Start the process and wait for its hello, ``patience`` seconds at most.

        Raises:
            WorkerStartFailed: it said that it can't, died, or said nothing in time.
        """
        self._hello = asyncio.get_running_loop().create_future()
        self._launching = asyncio.create_task(self._launch())
        try:
            async with asyncio.timeout(patience):
                hello = await self._greeting(self._launching)
        except TimeoutError:
            raise WorkerStartFailed(f"no sign of life within {patience:g} seconds") from None
        except OSError as error:  # out of descriptors, processes, memory
            raise WorkerStartFailed(str(error)) from error
        finally:
            self._launching.cancel()
            await asyncio.wait((self._launching,))
        if not hello.get("ready"):
            raise WorkerStartFailed(str(hello.get("failed")), str(hello.get("details", "")))

    async def _greeting(self, launching: asyncio.Task[None]) -> Mapping[str, Any]:
        """The worker's hello, once it was told its orders."""
        # Not awaited itself: what ends it early, see kill(), is no cancellation of whoever waits here.
        await asyncio.wait((launching,))
        if launching.cancelled():
            return {"failed": "it was ended before it was ready"}
        launching.result()
        assert self._hello is not None
        self._write(pickle.dumps(self._orders))
        return await self._hello

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._source.start(theirs)
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()  # the end of its socket is the end of the worker
            raise

    def send(self, payload: bytes) -> None:
        """Hand over a task."""
        self.tasks += 1
        self._write(payload)

    def retire(self) -> None:
        """End its socket; an idle worker then leaves by itself."""
        if self._transport:
            self._transport.close()
        self.ended.set()

    def kill(self) -> None:
        """End the process, whatever it is doing, even if it is stopped."""
        if self._launching:
            self._launching.cancel()
        if self._process:
            self._process.kill()
        if self._transport:
            self._transport.abort()
        self.ended.set()

    async def reap(self) -> int | None:
        """Wait for the end of a process that was retired or killed, or whose socket ended.

        Returns:
            Its exit code, negative for a signal; None if even SIGKILL did not end it in time, as in a system
            call on a dead network file system.
        """
        code = await self._wait()
        if code is None:
            self.kill()
            code = await self._wait()
        if self._process:
            self._process.close()
        return code

    async def _wait(self) -> int | None:
        if self._process is None:
            return None
        loop = asyncio.get_running_loop()
        until = loop.time() + _REAP_PATIENCE
        pause = 0.001
        while (code := self._process.poll()) is None:
            if loop.time() > until:
                return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)
        return code

    def _write(self, payload: bytes) -> None:
        assert self._transport is not None
        try:
            self._transport.write(encode_head(payload))
        except RuntimeError:
            # uvloop's word for a socket that ended and was not reported yet: the report is on its way.
            self._unsent = True

    def _take_frame(self, header: bytes, body: bytes) -> None:
        if self._hello is None or self._hello.done():
            self._on_answer(header, body)
            return
        try:
            hello = dict(json.loads(header))
        except (ValueError, TypeError):
            hello = {"failed": "it answered nonsense"}
        self._hello.set_result(hello)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the worker."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's signature
        """Where to receive."""
        return self._decoder.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Something was received; a worker that breaks the rules is ended."""
        try:
            self._decoder.received(nbytes)
        except FrameError:
            self.kill()

    def eof_received(self) -> None:
        """Let the transport close."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker has ended, or is about to.

        A socket ends with an error, and not just so, if there was something on it that the other side never
        read.
        """
        self.unread = self._unsent or isinstance(exc, ConnectionError)
        if self._hello and not self._hello.done():
            self._hello.set_result({"failed": "it ended before it was ready"})
        self.ended.set()

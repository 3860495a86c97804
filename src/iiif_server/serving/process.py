"""One of several server processes, as the supervisor sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from iiif_server.serving.control import Control, Word
from iiif_server.serving.orders import Orders
from iiif_server.serving.spawning import Spawned, Spawner
from iiif_server.telemetry.logs import use_log_format

START_SECONDS: Final = 60.0
"""How long a process may take until it serves, at its start or with another configuration."""

_REAP_SECONDS = 2.0


class ServerProcess:
    """A server process from its start to its end; it never comes back.

    Attributes:
        pid: its process id.
        ended: set once it has gone, or is about to.
        has_refused: it said why it can't serve, as opposed to dying over it.
    """

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.has_refused = False
        self._process: Spawned | None = None
        self._is_wanted = True
        self._control: Control | None = None
        self._ears: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Sequence[str]] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, once it has one."""
        return self._process.pid if self._process else None

    async def start(
        self,
        spawner: Spawner,
        orders: Orders,
        tally: int,
        sockets: Sequence[socket.socket],
        fork_server: socket.socket | None = None,
    ) -> Sequence[str]:
        """Start the process; returns what keeps it from serving, nothing once it does.

        Args:
            spawner: starts it.
            orders: what it is to serve.
            tally: descriptor of the tally of connections.
            sockets: that it is to listen on.
            fork_server: what it is to ask for workers by, if processes share who forks them.
        """
        ours, theirs = socket.socketpair()
        given = [*sockets, *([fork_server] if fork_server else [])]
        try:
            with theirs:
                descriptors = [theirs.fileno(), tally, *(sock.fileno() for sock in given)]
                self._process = await spawner.spawn(descriptors, START_SECONDS)
            self._control = await Control.over(ours)
        except OSError as error:  # out of descriptors, processes, memory
            ours.close()
            self.ended.set()
            return [f"a server process can't be started: {error}"]
        if not self._is_wanted:
            self.kill()
        self._ears = asyncio.create_task(self._listen(self._control))
        return await self._ask(Word.SERVE, orders=asdict(orders), shares_workers=fork_server is not None)

    async def reload(self, text: str) -> Sequence[str]:
        """Have it serve another configuration; returns what keeps it from that, nothing once it does."""
        return await self._ask(Word.RELOAD, text=text)

    def retire(self) -> None:
        """Have it answer what it was asked, and end."""
        self._is_wanted = False
        if self._control:
            self._control.send(Word.END)

    def kill(self) -> None:
        """End it, whatever it is doing; its workers end with it."""
        self._is_wanted = False
        if self._process:
            self._process.kill()

    async def reap(self) -> int | None:
        """Wait for its end, which is near: by itself, or by SIGKILL after a moment.

        Returns:
            Its exit code, negative for a signal; ``None`` if there was no process, or it can't be killed.
        """
        code = None
        if self._process:
            code = await self._wait(self._process)
            if code is None:
                self.kill()
                code = await self._wait(self._process)
        if self._ears:
            self._ears.cancel()
        if self._control:
            self._control.close()
        return code

    async def _ask(self, word: Word, **content: Any) -> Sequence[str]:
        assert self._control is not None
        self._answer = asyncio.get_running_loop().create_future()
        if self.ended.is_set():
            return ["the server process has ended"]
        self._control.send(word, **content)
        try:
            async with asyncio.timeout(START_SECONDS):
                return await self._answer
        except TimeoutError:
            self.kill()
            return [f"the server process said nothing for {START_SECONDS:g} seconds"]

    async def _listen(self, control: Control) -> None:
        while (message := await control.receive()) is not None:
            self.has_refused = message["word"] == Word.REFUSED
            if "log_format" in message:  # which only those know who read the configuration
                use_log_format(message["log_format"])
            if self._answer and not self._answer.done():
                self._answer.set_result(message.get("problems", []))
        self.ended.set()
        if self._answer and not self._answer.done():
            self._answer.set_result(["the server process ended before it served"])

    async def _wait(self, process: Spawned) -> int | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _REAP_SECONDS
        while (code := process.poll()) is None:
            if loop.time() > until:
                return None
            await asyncio.sleep(0.01)
        return code

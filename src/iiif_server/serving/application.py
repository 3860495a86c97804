"""An application on the listening sockets, from its start until its last connection is closed."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.hdrs import CONNECTION

from iiif_server.app import build_app
from iiif_server.config.model import Config
from iiif_server.config.shares import Share
from iiif_server.errors import ConfigurationError
from iiif_server.execution.pool import WorkerStartFailed
from iiif_server.plugins import Plugins
from iiif_server.serving.accepting import Acceptor
from iiif_server.serving.descriptors import make_room
from iiif_server.serving.orders import Orders
from iiif_server.serving.tally import Tally
from iiif_server.web.connections import Connections
from iiif_server.web.protocol import ProtocolFactory
from iiif_server.workshop import read_config, read_directory

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS: Final = 10.0
"""How long requests in flight may take once the application is to end."""

LINGER_SECONDS: Final = 5.0
"""How long idle connections are still served after another application took over."""

_FRESH_SECONDS = 0.2
"""What a connection that was just made has to bring its request, even in a hurry."""

_SWEEP_SECONDS = 0.5
_CUT_SECONDS = 1.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration that was read before a process was forked, and the orders it was read by."""

    orders: Orders
    config: Config


def read(orders: Orders, plugins: Plugins) -> Read:
    """Read the configuration that orders name. Blocks.

    Raises:
        ConfigurationError: with every mistake.
    """
    if orders.config is not None:
        return Read(orders, read_config(Path(orders.config), plugins, orders.text))
    return Read(orders, read_directory(Path(str(orders.directory)), plugins))


def build(
    orders: Orders, plugins: Plugins, fork_server: int | None = None, known: Read | None = None
) -> web.Application:
    """Make the application of one process. Blocks.

    Args:
        orders: what it serves.
        plugins: that are installed.
        fork_server: the descriptor to ask for workers by, if processes share who forks them.
        known: need not be read again.

    Raises:
        ConfigurationError: with every mistake.
    """
    if known is None or not orders.say_the_same_as(known.orders):
        known = read(orders, plugins)
    return build_app(known.config, plugins, Share(orders.process, orders.processes, fork_server))


class ServedApplication:
    """Runs an application once.

    Args:
        app: not started yet.
        tally: of the connections of all processes.
    """

    def __init__(self, app: web.Application, tally: Tally) -> None:
        self._app = app
        self._tally = tally
        self._is_ending = False
        self._acceptors: list[Acceptor] = []
        self._factory: ProtocolFactory | None = None
        self._sweeping: asyncio.Task[None] | None = None
        app.on_response_prepare.append(self._announce_end)
        # A client that has gone takes its unfinished request with it: work that nobody waits for is dropped.
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_CUT_SECONDS
        )

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Start up, and take connections from these sockets, which others may listen on as well.

        Raises:
            ConfigurationError: the workers or a profile can't be started; nothing is left running.
        """
        try:
            await self._runner.setup()
            assert self._runner.server is not None
            self._factory = factory = ProtocolFactory(self._app, self._runner.server)
            connections = factory.connections
            connections.most = make_room(connections.limits.most)
            self._sweeping = asyncio.create_task(_keep_sweeping(connections), name="connection limits")
            connections.changed = self._tally.add
            # Not by one of aiohttp's sites: those make protocols without limits.
            self._acceptors = [Acceptor(sock, factory, self._tally) for sock in sockets]
        except BaseException as error:
            self._close_acceptors()
            await self._clean_up()
            if isinstance(error, WorkerStartFailed):
                reason = f"The image workers can't be started: {error.reason}"
                raise ConfigurationError([reason]) from None
            raise

    async def end(self, hurry: asyncio.Event | None = None) -> None:
        """Take no more connections, answer what was asked, and close everything.

        An idle connection may bring a request at any moment, and a client can't tell whether one that was
        sent while it was closed had been read. So while there is no hurry, idle ones stay for a while, and
        are closed with their next answer, which says so (RFC 9112 section 9.6).

        Args:
            hurry: set when idle connections are to be closed at once; ``None`` if they are from the start.
        """
        self._close_acceptors()
        self._is_ending = True
        if self._factory is not None:
            self._factory.begin_to_end()
        if server := self._runner.server:
            if hurry is not None:
                await _until(lambda: hurry.is_set() or not server.connections, LINGER_SECONDS)
            await _until(lambda: not server.connections, _FRESH_SECONDS)
            server.pre_shutdown()
            with suppress(TimeoutError):
                # aiohttp takes its own timeout twice, if the client has stopped reading.
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await server.shutdown(SHUTDOWN_SECONDS)
                    # For aiohttp, an answer is over when it is written.
                    await _until(self._all_is_sent, SHUTDOWN_SECONDS)
        await self._clean_up()

    def _all_is_sent(self) -> bool:
        """Whether the clients have taken what was written."""
        connections = self._factory.connections.all if self._factory is not None else ()
        return not any(connection.link.unsent() for connection in connections)

    def _close_acceptors(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    async def _clean_up(self) -> None:
        if self._factory is not None:
            self._factory.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait((self._sweeping,))
        await self._runner.cleanup()

    async def _announce_end(self, _: web.BaseRequest, response: web.StreamResponse) -> None:
        if self._is_ending:
            response.force_close()
            response.headers[CONNECTION] = "close"


async def _keep_sweeping(connections: Connections) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            connections.sweep()
        except Exception:
            logger.exception("looking after the connections failed")


async def _until(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, for so long at most."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not is_so():
        if loop.time() > until:
            return
        await asyncio.sleep(_LOOK_SECONDS)

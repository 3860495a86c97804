"""The server in one process: signals to the main process are its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from iiif_server.config.reading import read_text
from iiif_server.errors import ConfigurationError
from iiif_server.execution.confinement import give_back_what_is_freed
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.serving.application import build
from iiif_server.serving.listening import announce, listen
from iiif_server.serving.logs import NOTHING_TO_RELOAD, log_refusal
from iiif_server.serving.loops import loop_factory
from iiif_server.serving.orders import Orders
from iiif_server.serving.server import Server
from iiif_server.serving.signals import Signals, exit_at_once
from iiif_server.serving.tally import Tally

logger = logging.getLogger(__name__)


def run_single(orders: Orders, host: str, port: int) -> int:
    """Serve until a signal ends it; returns the exit code.

    Raises:
        ConfigurationError: it can't start.
    """
    give_back_what_is_freed()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing to reload before the first start
    plugins = load_plugins()
    sockets = listen(host, port)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_serve(orders, plugins, sockets))
    finally:
        for sock in sockets:
            sock.close()


async def _serve(orders: Orders, plugins: Plugins, sockets: Sequence[socket.socket]) -> int:
    signals = Signals(exit_at_once)
    server = Server(sockets, Tally.alone())
    await server.run(_start_and_reload(server, orders, plugins, sockets, signals.reload), signals.end)
    return 0


async def _start_and_reload(
    server: Server, orders: Orders, plugins: Plugins, sockets: Sequence[socket.socket], wanted: asyncio.Event
) -> None:
    await server.start(partial(build, orders, plugins))
    announce(sockets)
    while True:
        await wanted.wait()
        wanted.clear()
        if orders.config is None:
            logger.info(NOTHING_TO_RELOAD)
            continue
        try:
            text = await asyncio.to_thread(read_text, Path(orders.config))
            await server.reload(partial(build, replace(orders, text=text), plugins))
        except ConfigurationError as error:
            log_refusal(error.problems)
        except Exception:
            logger.exception("the configuration was not reloaded; the server goes on with the one it has")
        else:
            logger.info("the configuration was reloaded")

"""One of several server processes: forked, or ``python -m iiif_server.serving.child PARENT DESCRIPTOR…``.

It takes its orders from the supervisor. Of the signals, SIGTERM ends it well, however often it comes: service
managers send it to every process of the server. SIGINT and SIGHUP are for the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from iiif_server.errors import ConfigurationError
from iiif_server.execution.confinement import die_with_parent, give_back_what_is_freed, name_process
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.serving.application import Read, build
from iiif_server.serving.control import Control, Word
from iiif_server.serving.logs import logging_to_standard_error
from iiif_server.serving.loops import loop_factory
from iiif_server.serving.orders import Orders
from iiif_server.serving.server import Build, Server
from iiif_server.serving.tally import Tally
from iiif_server.telemetry.logs import log_format_in_use

BuildFrom = Callable[[Orders], web.Application]
"""Makes an application of orders. Blocks."""


def serve(
    descriptors: Sequence[int], parent: int, plugins: Plugins | None = None, known: Read | None = None
) -> int:
    """Serve until told to end; returns the exit code.

    Args:
        descriptors: of the socket that orders come by, of the tally of connections, of the sockets to listen
            on, and if the first order says so of the one to ask for workers by.
        parent: process id of the supervisor.
        plugins: that were loaded before this process was forked.
        known: what was read before then.
    """
    name_process("iiif-web")
    give_back_what_is_freed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(parent)
    with logging_to_standard_error(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(descriptors, plugins or load_plugins(), known))


async def _serve(descriptors: Sequence[int], plugins: Plugins, known: Read | None) -> int:
    control = await Control.over(socket.socket(fileno=descriptors[0]))
    first = await control.receive()
    if first is None:
        return 1
    orders = Orders(**first["orders"])
    tally = Tally.shared(descriptors[1], orders.process)
    os.close(descriptors[1])
    listeners, fork_server = descriptors[2:], None
    if first["shares_workers"]:
        *listeners, fork_server = listeners
    sockets = [socket.socket(fileno=descriptor) for descriptor in listeners]
    build_from = partial(build, plugins=plugins, fork_server=fork_server, known=known)
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    texts: asyncio.Queue[str] = asyncio.Queue()
    ears = asyncio.create_task(_listen(control, end, texts))
    server = Server(sockets, tally)
    try:
        await server.run(_start_and_reload(server, orders, build_from, control, texts), end)
    except ConfigurationError as error:
        control.send(Word.REFUSED, problems=error.problems)
        return 1
    finally:
        ears.cancel()
        control.close()
    return 0


async def _listen(control: Control, end: asyncio.Event, texts: asyncio.Queue[str]) -> None:
    while (message := await control.receive()) is not None:
        if message["word"] == Word.RELOAD:
            texts.put_nowait(message["text"])
        elif message["word"] == Word.END:
            end.set()
    # The supervisor has gone, and with it whoever would replace or end this process. On Linux the kernel
    # was quicker.
    os._exit(1)


async def _start_and_reload(
    server: Server, orders: Orders, build_from: BuildFrom, control: Control, texts: asyncio.Queue[str]
) -> None:
    await server.start(partial(build_from, orders))
    control.send(Word.READY, log_format=log_format_in_use())
    while True:
        text = await texts.get()
        control.send(**await _reload(server, partial(build_from, replace(orders, text=text))))


async def _reload(server: Server, build: Build) -> Mapping[str, Any]:
    try:
        await server.reload(build)
    except ConfigurationError as error:
        return {"word": Word.REFUSED, "problems": error.problems}
    except Exception as error:  # noqa: BLE001 - whatever it is, the former application serves on
        return {"word": Word.REFUSED, "problems": [f"{type(error).__name__}: {error}"]}
    return {"word": Word.READY, "log_format": log_format_in_use()}


if __name__ == "__main__":
    sys.exit(serve([int(number) for number in sys.argv[2:]], int(sys.argv[1])))

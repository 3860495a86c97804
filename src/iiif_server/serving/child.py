"""One of several server processes: ``python -m iiif_server.serving.child DESCRIPTOR PARENT``.

It takes its orders from the supervisor. Of the signals, SIGTERM ends it well, however often it comes: service
managers send it to every process of the server. SIGINT and SIGHUP are for the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from iiif_server.errors import ConfigurationError
from iiif_server.execution.confinement import die_with_parent
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.serving.application import build
from iiif_server.serving.control import Control, Word
from iiif_server.serving.logs import logging_to_standard_error
from iiif_server.serving.loops import loop_factory
from iiif_server.serving.orders import Orders
from iiif_server.serving.server import Server
from iiif_server.telemetry.logs import log_format_in_use


def main(descriptor: int, parent: int) -> int:
    """Serve until told to end; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(parent)
    with logging_to_standard_error(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        plugins = load_plugins()
        return runner.run(_serve(socket.socket(fileno=descriptor), plugins))


async def _serve(sock: socket.socket, plugins: Plugins) -> int:
    control = await Control.over(sock)
    first = await control.receive()
    if first is None:
        return 1
    orders = Orders(**first["orders"])
    sockets = [socket.socket(fileno=descriptor) for descriptor in first["descriptors"]]
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    texts: asyncio.Queue[str] = asyncio.Queue()
    ears = asyncio.create_task(_listen(control, end, texts))
    server = Server(sockets)
    try:
        await server.run(_start_and_reload(server, orders, plugins, control, texts), end)
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
    server: Server, orders: Orders, plugins: Plugins, control: Control, texts: asyncio.Queue[str]
) -> None:
    await server.start(partial(build, orders, plugins))
    control.send(Word.READY, log_format=log_format_in_use())
    while True:
        text = await texts.get()
        control.send(**await _reload(server, replace(orders, text=text), plugins))


async def _reload(server: Server, orders: Orders, plugins: Plugins) -> Mapping[str, Any]:
    try:
        await server.reload(partial(build, orders, plugins))
    except ConfigurationError as error:
        return {"word": Word.REFUSED, "problems": error.problems}
    except Exception as error:  # noqa: BLE001 - whatever it is, the former application serves on
        return {"word": Word.REFUSED, "problems": [f"{type(error).__name__}: {error}"]}
    return {"word": Word.READY, "log_format": log_format_in_use()}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))

"""``iiif-server serve``: run the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iiif_server.errors import ConfigurationError

if TYPE_CHECKING:
    from aiohttp import web

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_SHUTDOWN_SECONDS = 10.0
"""How long requests in flight may take after a signal to end."""


def add_parser(subparsers: Subparsers) -> None:
    """Add this command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server",
        description="Serve the images below a directory, or the profiles of a configuration file.",
    )
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="serve every image below DIR")
    parser.add_argument("--config", type=Path, metavar="FILE", help="serve what this YAML file configures")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=8182,
        help="port to listen on; 0 picks a free one (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    # Imported here so that the other commands start without a web framework.
    from iiif_server.telemetry.logs import log_output

    if (arguments.directory is None) == (arguments.config is None):
        raise ConfigurationError(["iiif-server serve: give a directory or --config FILE, one of the two."])
    logging.getLogger().setLevel(logging.INFO)
    with log_output():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from iiif_server.app import build_app, directory_app, read_config
    from iiif_server.plugins import load_plugins

    plugins = load_plugins()
    if arguments.config is not None:
        app = build_app(read_config(arguments.config, plugins), plugins)
    else:
        app = directory_app(arguments.directory, plugins)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(app, arguments.host, arguments.port))


async def _serve(app: web.Application, host: str, port: int) -> int:
    from aiohttp import web

    from iiif_server.execution.pool import WorkerStartFailed

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # A client that has gone takes its unfinished request with it: work that nobody waits for is dropped.
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    try:
        try:
            await runner.setup()
        except WorkerStartFailed as error:
            raise ConfigurationError([f"The image workers can't be started: {error.reason}"]) from None
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(
                [f"Can't listen on {host} port {port}: {error.strerror or error}"]
            ) from None
        for address in runner.addresses:
            print(f"iiif-server is ready: {_url(address)}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
    return 0


def _url(address: tuple[object, ...] | str) -> str:
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"http://[{host}]:{port}/" if ":" in str(host) else f"http://{host}:{port}/"


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The faster loop of the extra ``uvloop`` where that is installed, else asyncio's own."""
    if sys.platform == "win32":
        return None
    try:
        from uvloop import Loop
    except ImportError:
        return None
    loop: type[asyncio.AbstractEventLoop] = Loop
    return loop


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text[:6]) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: want a number from 0 to 65535")
    return int(text)

"""``iiif-server serve``: run the server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from iiif_server.errors import ConfigurationError
from iiif_server.serving.logs import logging_to_standard_error
from iiif_server.serving.orders import read_orders

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_MOST_PROCESSES = 64
"""Each takes about 20 MB of its own before it has done anything, 50 where it can't be forked."""


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
    parser.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="server processes that share the port, the workers and the caches (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    if (arguments.directory is None) == (arguments.config is None):
        raise ConfigurationError(["iiif-server serve: give a directory or --config FILE, one of the two."])
    orders = read_orders(arguments.directory, arguments.config, arguments.processes)
    # Imported here: other commands, and what keeps processes, start without a web framework.
    if arguments.processes > 1:
        from iiif_server.serving.supervisor import run_supervisor

        return run_supervisor(orders, arguments.host, arguments.port)
    from iiif_server.serving.single import run_single

    with logging_to_standard_error():
        return run_single(orders, arguments.host, arguments.port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text[:6]) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: want a number from 0 to 65535")
    return int(text)


def _processes(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:4]) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r}: want a number from 1 to {_MOST_PROCESSES}")
    return int(text)

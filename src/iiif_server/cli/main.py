"""The command ``iiif-server``: its parser, and how every command ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from iiif_server import __version__
from iiif_server.cli import cache, config, formats, plugins, pyramids, serve
from iiif_server.errors import ConfigurationError

COMMANDS = (serve, config, cache, pyramids, plugins, formats)
"""Each module adds its parser, and names the function that runs it."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="iiif-server", description="Serve images by the IIIF Image API, from wherever they are."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process: 0 for success, 1 for an explained mistake, 2 for wrong usage."""
    arguments = build_parser().parse_args(argv)
    try:
        status = arguments.run(arguments)
    except ConfigurationError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # The reader of our output has gone, as `iiif-server config example | head` does.
        sys.stderr.close()
        status = 1
    sys.exit(status)

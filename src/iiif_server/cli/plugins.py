"""``iiif-server plugins``: what is installed, and what failed to load."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from iiif_server.cli import new_plugin

if TYPE_CHECKING:
    from iiif_server.cli.serve import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command."""
    parser = subparsers.add_parser(
        "plugins",
        help="list the installed plugins and their profile types, or begin one",
        description="List the installed plugins, their profile types, and why one could not be loaded.",
    )
    parser.set_defaults(run=run)
    new_plugin.add_parser(parser.add_subparsers(metavar="COMMAND"))


def run(_arguments: argparse.Namespace) -> int:
    """Print a line for each plugin; exit with 1 if one failed to load."""
    from iiif_server.plugins import load_plugins  # other commands start without it

    plugins = load_plugins()
    for plugin in plugins.found:
        what = f"failed to load: {plugin.failure}" if plugin.failure else _types(plugin.profile_types)
        print(f"{plugin.name}  ({plugin.distribution})  {what}")
    return 1 if plugins.failures else 0


def _types(names: tuple[str, ...]) -> str:
    return f"profile types: {', '.join(names)}" if names else "no profile types"

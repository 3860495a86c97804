"""``iiif-server config``: check a configuration, or describe what one may hold."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iiif_server.cli.serve import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command and its own commands."""
    parser = subparsers.add_parser(
        "config", help="check or describe configurations", description="Check or describe configurations."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser("check", help="list every mistake in a configuration file")
    check.add_argument("file", type=Path, metavar="FILE", help="the configuration file")
    check.set_defaults(run=run_check)
    for name, function, text in (
        ("example", run_example, "print a commented configuration with every key"),
        ("schema", run_schema, "print the JSON Schema of configurations, for editors"),
        ("reference", run_reference, "print the reference of all keys as Markdown"),
    ):
        description = f"{text[0].upper()}{text[1:]}."
        commands.add_parser(name, help=text, description=description).set_defaults(run=function)


def run_check(arguments: argparse.Namespace) -> int:
    """Load a file as the server would; mistakes are listed by the caller."""
    # Imported where it is needed, here and below: what keeps server processes starts without all this.
    from iiif_server.config.load import load_config
    from iiif_server.plugins import load_plugins, option_models

    plugins = load_plugins()
    config = load_config(arguments.file, option_models(plugins), plugins.failures)
    names = ", ".join(f"{profile.name} ({profile.type})" for profile in config.profiles.values())
    print(f"{arguments.file}: no mistakes found. Profiles: {names}")
    return 0


def run_example(_arguments: argparse.Namespace) -> int:
    """Print an example."""
    from iiif_server.config.describe import example
    from iiif_server.plugins import load_plugins, option_models

    print(example(option_models(load_plugins())), end="")
    return 0


def run_schema(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from iiif_server.config.describe import schema
    from iiif_server.plugins import load_plugins, option_models

    print(json.dumps(schema(option_models(load_plugins())), indent=2))
    return 0


def run_reference(_arguments: argparse.Namespace) -> int:
    """Print the reference."""
    from iiif_server.config.describe import reference
    from iiif_server.plugins import load_plugins, option_models

    print(reference(option_models(load_plugins())), end="")
    return 0

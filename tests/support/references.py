"""The reference pages that follow from the code: ``python -m tests.support.references`` writes them anew."""

import argparse
from collections.abc import Iterator

from iiif_server.cli.main import build_parser
from iiif_server.config.describe import refreshed
from iiif_server.profiles.disk import DiskOptions
from tests.support import formats
from tests.support.metrics_reference import metrics_reference
from tests.support.paths import REPOSITORY
from tests.support.plugin_reference import plugin_reference

REFERENCE = REPOSITORY / "docs" / "reference"


def pages() -> dict[str, str]:
    """Each generated page by its file name."""
    return {
        "configuration.md": refreshed(
            # The types that ship with the server, not whatever is installed here.
            (REFERENCE / "configuration.md").read_text(),
            {"disk": DiskOptions},
        ),
        "commands.md": _commands(),
        "formats.md": formats.refreshed((REFERENCE / "formats.md").read_text()),
        "metrics.md": metrics_reference(),
        "plugins.md": plugin_reference(),
    }


def _commands() -> str:
    """Written here and not by argparse, whose layout differs between versions of Python."""
    parts = ["# Commands\n", "`python -m iiif_server` is the same as `iiif-server`.\n"]
    for parser in _parsers(build_parser()):
        parts.append(f"## `{parser.prog}`\n")
        if parser.description:
            parts.append(parser.description + "\n")
        rows = [row for action in parser._actions for row in _rows(parser, action)]
        if rows:
            parts.append("| argument | what |\n|---|---|\n" + "\n".join(rows) + "\n")
    parts.append(
        "## Exit codes\n\n"
        "0 is success, 1 a mistake that is explained on standard error, 2 a wrong command line.\n"
    )
    return "\n".join(parts)


def _rows(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    if isinstance(action, argparse._SubParsersAction):
        for choice in action._choices_actions:
            yield f"| `{choice.dest}` | {choice.help} |"
    elif not isinstance(action, argparse._HelpAction):
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            name += f" {action.metavar or action.dest.upper()}"
        yield f"| `{name}` | {parser._get_formatter()._expand_help(action)} |"


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _parsers(child)


if __name__ == "__main__":
    for file_name, content in pages().items():
        (REFERENCE / file_name).write_text(content.rstrip("\n") + "\n")

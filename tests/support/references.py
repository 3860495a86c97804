"""The reference pages that follow from the code: ``python -m tests.support.references`` writes them anew."""

import argparse
import inspect
import re
from collections.abc import Callable, Iterator

import iiif_server.api
from iiif_server import hookspecs
from iiif_server.cli.main import build_parser
from iiif_server.config.describe import refreshed
from iiif_server.profiles.disk import DiskOptions
from tests.support.paths import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"
OBJECTS = {
    "ByteSize": "The type of an option that is a number of bytes; people may write a unit: `512 MiB`.",
    "hookimpl": "Marks a function or method as the implementation of a hook.",
}
"""What is no class and so has no docstring of its own."""
WITH_METHODS = (
    iiif_server.api.ListsNames,
    iiif_server.api.Profile,
    iiif_server.api.SourceStore,
    iiif_server.api.SourceWriter,
)
"""Classes whose methods a plugin calls or has."""


def pages() -> dict[str, str]:
    """Each generated page by its file name."""
    return {
        "configuration.md": refreshed(
            # The types that ship with the server, not whatever is installed here.
            (REFERENCE / "configuration.md").read_text(),
            {"disk": DiskOptions},
        ),
        "commands.md": _commands(),
        "plugins.md": _plugins(),
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


def _plugins() -> str:
    parts = [
        "# Plugin API\n",
        "A plugin is a package with an entry point in the group `iiif_server` that names a module or an",
        "object with hook implementations. It imports `iiif_server.api` and nothing else of the server:\n",
        '```toml\n[project.entry-points.iiif_server]\nmine = "my_package"\n```\n',
        "`iiif-server plugins` lists what is installed, and what failed to load and why.\n",
        "## Hooks\n",
    ]
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith("iiif_"):
            parts.append(f"### `{_signature(name, function)}`\n\n{_prose(inspect.getdoc(function))}\n")
    parts.append("## `iiif_server.api`\n")
    for name in iiif_server.api.__all__:
        thing = getattr(iiif_server.api, name)
        text = OBJECTS.get(name) or _prose(inspect.getdoc(thing))
        summary = text.split("\n\n")[0].replace("\n", " ")
        parts.append(f"### `{name}`\n\n{summary}\n")
        parts.extend(_methods(thing))
    return "\n".join(parts)


def _methods(thing: object) -> Iterator[str]:
    if thing not in WITH_METHODS:
        return
    for name, method in vars(thing).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            text = _prose(inspect.getdoc(method)).replace("\n", "\n  ")
            yield f"- `{_signature(name, method)}`\n\n  {text}\n"


def _signature(name: str, function: Callable[..., object]) -> str:
    return f"{name}{inspect.signature(function)}".replace("'", "")


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown."""
    return re.sub(r":[a-z]+:`~?([^`]*)`", r"`\1`", docstring or "").replace("``", "`")


if __name__ == "__main__":
    for file_name, content in pages().items():
        (REFERENCE / file_name).write_text(content.rstrip("\n") + "\n")

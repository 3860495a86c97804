"""``iiif-server cache``: what the caches on disk hold, and removing from them while servers run."""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from iiif_server.errors import ConfigurationError

if TYPE_CHECKING:
    from iiif_server.caches.upkeep import Selection
    from iiif_server.cli.serve import Subparsers
    from iiif_server.config.model import Config

_DURATION = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NOTE = (
    "What running servers keep in memory stays until they are restarted or reloaded. An image that changed "
    "needs no purge: its old derivatives are never asked for again."
)


def add_parser(subparsers: Subparsers) -> None:
    """Add this command and its own commands."""
    parser = subparsers.add_parser(
        "cache",
        help="show or empty the caches on disk",
        description="Show what the caches on disk hold, or remove from them, also while servers run.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    text = "show what the caches hold: derivatives by profile, and the sources that profiles fetched"
    stats = commands.add_parser("stats", help=text, description=f"{text[0].upper()}{text[1:]}.")
    _add_place(stats)
    stats.add_argument("--json", action="store_true", help="as JSON, for programs")
    stats.set_defaults(run=run_stats)
    text = "remove derivatives and fetched sources from the caches"
    purge = commands.add_parser("purge", help=text, description=f"{text[0].upper()}{text[1:]}. {_NOTE}")
    _add_place(purge)
    _add_selection(purge)
    purge.set_defaults(run=functools.partial(run_purge, purge))


def run_stats(arguments: argparse.Namespace) -> int:
    """Print what each cache holds."""
    # Imported here so that the other commands start without it.
    from iiif_server.cli.stores import caches_of, config_of, described, lines_of

    config = config_of(arguments.directory, arguments.config)
    caches = caches_of(config)
    found = [described(cache, list(config.profiles)) for cache in caches]
    if arguments.json:
        sources = {cache.profile: one for cache, one in zip(caches, found, strict=True) if cache.profile}
        print(json.dumps({"derivatives": found[0], "sources": sources}, indent=2))
    else:
        for cache, one in zip(caches, found, strict=True):
            print("\n".join(lines_of(cache, one)))
    return 0


def run_purge(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Remove what is selected from each cache, and print how much that was."""
    from iiif_server.cli.stores import caches_of, config_of, purged

    narrowed = bool(arguments.profile or arguments.identifier) or arguments.older_than is not None
    if arguments.all == narrowed:
        parser.error("say what to remove: --all alone, or some of --profile, --identifier, --older-than")
    config = config_of(arguments.directory, arguments.config)
    selection = _selection(config, arguments)
    for cache in caches_of(config):
        amount = purged(cache, selection, dry_run=arguments.dry_run)
        print(f"{cache.title}: {'would remove' if arguments.dry_run else 'removed'} {amount}")
    return 0


def _add_place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="the caches of `iiif-server serve DIR`"
    )
    place.add_argument("--config", type=Path, metavar="FILE", help="the caches of this configuration")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        help="what belongs to this profile; may be given repeatedly",
    )
    parser.add_argument(
        "--identifier",
        action="append",
        default=[],
        metavar="PROFILE:NAME",
        help="what belongs to this image, all its pages; not percent-encoded; may be given repeatedly",
    )
    parser.add_argument(
        "--older-than",
        type=_duration,
        metavar="TIME",
        help="only what has not been read from disk for this time: a number with s, m, h, d or w: 30d",
    )
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, and tell what would be")


def _selection(config: Config, arguments: argparse.Namespace) -> Selection:
    from iiif_server.caches.keys import owner_of, profile_digits
    from iiif_server.caches.upkeep import Selection

    owners = {profile_digits(_known(config, name)) for name in arguments.profile}
    for text in arguments.identifier:
        profile, colon, name = text.partition(":")
        if not colon:
            if config.default_profile is None:
                raise ConfigurationError([f"{text!r}: want PROFILE:NAME, as there is no default_profile"])
            profile, name = config.default_profile, text
        owners.add(owner_of(_known(config, profile), name))
    if arguments.older_than is None:
        return Selection(frozenset(owners))
    return Selection(frozenset(owners), time.time() - arguments.older_than)


def _known(config: Config, profile: str) -> str:
    """A profile's name. One that was taken out of the configuration may have left something behind."""
    if profile not in config.profiles:
        configured = ", ".join(config.profiles)
        print(f"Note: no profile {profile!r} is configured, only {configured}.", file=sys.stderr)
    return profile


def _duration(text: str) -> int:
    """Seconds of a time such as ``30d``."""
    if (match := _DURATION.fullmatch(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: want a number with s, m, h, d or w: 30d")
    return int(match[1]) * _SECONDS[match[2]]

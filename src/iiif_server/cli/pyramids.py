"""``iiif-server pyramids``: build pyramids ahead of time, and look after those that are there."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iiif_server.errors import ConfigurationError, IIIFServerError

if TYPE_CHECKING:
    from iiif_server.caches.sources.store import SourceStore
    from iiif_server.cli.serve import Subparsers
    from iiif_server.config.model import Config
    from iiif_server.iiif.uri import Identifier
    from iiif_server.plugins import Plugins
    from iiif_server.services.pyramid_runs import ImageResult, KeptPyramid
    from iiif_server.workshop import Workshop

_SHOWN_FAILURES = 20
_MEGA = 1_000_000

Command = Callable[[argparse.Namespace, "Config", "Plugins"], Coroutine[Any, Any, int]]


def add_parser(subparsers: Subparsers) -> None:
    """Add this command and its own commands."""
    parser = subparsers.add_parser(
        "pyramids",
        help="build, list, check or remove pyramids",
        description="Build the pyramids of large sources ahead of time, and look after those that are there.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    build = _add(commands, "build", "build the pyramids that are not there yet", _build)
    build.add_argument(
        "--jobs",
        type=_jobs,
        default=os.cpu_count() or 1,
        help="how many to build at a time (default: one for each processor)",
    )
    _add(commands, "list", "list the pyramids that are there", _list)
    _add(commands, "check", "read every tile of every pyramid, and tell those that no request uses", _check)
    purge = _add(commands, "purge", "remove pyramids", _purge)
    purge.add_argument(
        "--outdated", action="store_true", help="only damaged ones, and those that no request uses"
    )


def run(arguments: argparse.Namespace) -> int:
    """Load the configuration, and do what was asked for."""
    # Imported here so that the other commands start without a web framework.
    from iiif_server.execution.pool import WorkerStartFailed
    from iiif_server.plugins import load_plugins
    from iiif_server.workshop import read_config

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    plugins = load_plugins()
    config = read_config(arguments.config, plugins)
    for name in arguments.profile:
        if name not in config.profiles:
            raise ConfigurationError([f"--profile {name}: no profile of this name is configured."])

    try:
        status: int = asyncio.run(arguments.command(arguments, config, plugins))
    except WorkerStartFailed as error:
        raise ConfigurationError([f"The image workers can't be started: {error.reason}"]) from None
    return status


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    command: Command,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--profile", action="append", default=[], metavar="NAME", help="only this profile; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument("identifier", nargs="*", metavar="IDENTIFIER", help="only these images")
    parser.set_defaults(run=run, command=command)
    return parser


async def _build(arguments: argparse.Namespace, config: Config, plugins: Plugins) -> int:
    from iiif_server.workshop import pyramid_workshop

    async with pyramid_workshop(config, plugins, arguments.jobs) as workshop:
        _check_policies(arguments, workshop)
        tally = await _build_all(arguments, workshop)
        removed = workshop.store.statistics()["evicted"]
    summary = tally.summary() | {"removed": removed}
    if arguments.json:
        failures = [{"identifier": str(each.identifier), "reason": each.reason} for each in tally.failures]
        print(json.dumps({**summary, "failures": failures}, indent=2))
    else:
        _print_summary(summary, tally.failures)
    return 1 if tally.failures or removed else 0


async def _build_all(arguments: argparse.Namespace, workshop: Workshop) -> _Tally:
    from tqdm import tqdm

    from iiif_server.services.pyramid_runs import PyramidRun

    total = 0
    async for _ in _wanted(arguments, workshop):
        total += 1
    tally = _Tally()
    tqdm.monitor_interval = 0  # no thread
    with tqdm(total=total, unit=" images", disable=None, dynamic_ncols=True) as bar:

        def tell(result: ImageResult) -> None:
            tally.add(result)
            bar.set_postfix_str(f"{tally.megapixels / tally.seconds:.1f} Mpx/s", refresh=False)
            bar.update()

        run = PyramidRun(workshop.infos, workshop.builder, workshop.rules, workshop.settings)
        await run.build(_wanted(arguments, workshop), arguments.jobs, tell)
    return tally


class _Tally:
    """What became of the images so far; of those that went well, no more than sums."""

    def __init__(self) -> None:
        self.failures: list[ImageResult] = []
        self._counts: Counter[str] = Counter()
        self._pixels = self._bytes = 0
        self._started = time.monotonic()

    def add(self, result: ImageResult) -> None:
        self._counts[result.outcome] += 1
        if result.outcome == "failed":
            self.failures.append(result)
        if result.outcome == "built":
            self._pixels += result.pixels
            self._bytes += result.size

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def megapixels(self) -> float:
        return self._pixels / _MEGA

    def summary(self) -> dict[str, Any]:
        counts = {outcome: self._counts[outcome] for outcome in ("built", "there", "left_out", "failed")}
        sums = {"megapixels": round(self.megapixels, 1), "bytes": self._bytes}
        return {**counts, **sums, "seconds": round(self.seconds, 1)}


def _print_summary(summary: dict[str, Any], failures: list[ImageResult]) -> None:
    print(
        "{built} built ({megapixels} megapixels in {seconds} s), {there} there already, {left_out} left out, "
        "{failed} failed".format(**summary)
    )
    for result in failures[:_SHOWN_FAILURES]:
        print(f"failed: {result.identifier}: {result.reason}", file=sys.stderr)
    if len(failures) > _SHOWN_FAILURES:
        print(f"and {len(failures) - _SHOWN_FAILURES} more; --json lists them all", file=sys.stderr)
    if summary["removed"]:
        print(
            f"{summary['removed']} others were removed to make room: raise pyramid_cache_size",
            file=sys.stderr,
        )


async def _list(arguments: argparse.Namespace, config: Config, _: Plugins) -> int:
    async with _store(config) as store:
        found = [kept async for kept in _kept(arguments, store, config.default_profile)]
    if arguments.json:
        print(json.dumps([_described(kept) for kept in found], indent=2))
        return 0
    for kept in found:
        print(f"{kept.identifier}  {kept.size} bytes  {kept.tiles} tiles")
    return 0


async def _check(arguments: argparse.Namespace, config: Config, plugins: Plugins) -> int:
    from iiif_server.workshop import pyramid_workshop

    async with pyramid_workshop(config, plugins, 1) as workshop:
        found = [(kept, state) async for kept, state in _states(arguments, workshop)]
    if arguments.json:
        print(json.dumps([{**_described(kept), "state": state} for kept, state in found], indent=2))
    else:
        for kept, state in found:
            if state != "current":
                print(f"{state}: {kept.identifier}")
        counts = Counter(state for _, state in found)
        print(", ".join(f"{counts[state]} {state}" for state in ("current", "outdated", "damaged")))
    return 1 if any(state == "damaged" for _, state in found) else 0


async def _purge(arguments: argparse.Namespace, config: Config, plugins: Plugins) -> int:
    from iiif_server.workshop import pyramid_workshop

    if arguments.outdated:
        async with pyramid_workshop(config, plugins, 1) as workshop:
            doomed = [kept async for kept, state in _states(arguments, workshop) if state != "current"]
            gone = [kept for kept in doomed if await workshop.store.forget(kept.key)]
    else:
        async with _store(config) as store:
            doomed = [kept async for kept in _kept(arguments, store, config.default_profile)]
            gone = [kept for kept in doomed if await store.forget(kept.key)]
    removed, size = len(gone), sum(kept.size for kept in gone)
    if arguments.json:
        print(json.dumps({"removed": removed, "bytes": size}))
    else:
        print(f"{removed} removed, {size} bytes")
    return 0


def _described(kept: KeptPyramid) -> dict[str, Any]:
    return {
        "identifier": str(kept.identifier),
        "version": kept.version,
        "bytes": kept.size,
        "tiles": kept.tiles,
    }


def _check_policies(arguments: argparse.Namespace, workshop: Workshop) -> None:
    """Building what no request would use is a mistake in the configuration."""
    named = arguments.profile or workshop.rules
    if all(workshop.rules[name].policy == "never" for name in named):
        names = ", ".join(named)
        raise ConfigurationError(
            [f"pyramids: never is what {names} has, so that no request would use a pyramid: set ahead."]
        )


def _identifiers(arguments: argparse.Namespace, default: str | None) -> list[Identifier]:
    from iiif_server.iiif.uri import parse_identifier

    try:
        return [parse_identifier(text, default) for text in arguments.identifier]
    except IIIFServerError as error:
        raise ConfigurationError([error.public]) from None


async def _wanted(arguments: argparse.Namespace, workshop: Workshop) -> AsyncIterator[Identifier]:
    """The images that were named, or all of the profiles that have pyramids and list their names."""
    from iiif_server.services.pyramid_runs import listed

    if arguments.identifier:
        for identifier in _identifiers(arguments, workshop.profiles.default):
            yield identifier
        return
    for profile in workshop.profiles:
        name = profile.context.name
        if workshop.rules[name].policy != "never" and name in (arguments.profile or (name,)):
            async for identifier in listed(profile):
                yield identifier


@asynccontextmanager
async def _store(config: Config) -> AsyncIterator[SourceStore]:
    from iiif_server.workshop import pyramid_store

    store = pyramid_store(config)
    try:
        yield store
    finally:
        await store.close()


async def _kept(
    arguments: argparse.Namespace, store: SourceStore, default: str | None
) -> AsyncIterator[KeptPyramid]:
    from iiif_server.services.pyramid_runs import kept_pyramids

    named = _identifiers(arguments, default)
    async for kept in kept_pyramids(store):
        profile = kept.identifier.profile
        if profile in (arguments.profile or (profile,)) and (not named or kept.identifier in named):
            yield kept


async def _states(
    arguments: argparse.Namespace, workshop: Workshop
) -> AsyncIterator[tuple[KeptPyramid, str]]:
    from iiif_server.services.pyramid_runs import PyramidRun

    run = PyramidRun(workshop.infos, workshop.builder, workshop.rules, workshop.settings)
    async for kept in _kept(arguments, workshop.store, workshop.profiles.default):
        try:
            state = await run.state(kept, workshop.store)
        except IIIFServerError as error:
            print(f"{kept.identifier}: its source can't be looked at: {error.log}", file=sys.stderr)
            continue
        yield kept, state


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 256")
    return int(text)

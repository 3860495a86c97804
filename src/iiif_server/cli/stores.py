"""The caches of a configuration, for ``iiif-server cache``: where they are, what they hold, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from iiif_server.caches.directory import CacheDirectory
from iiif_server.caches.keys import profile_digits
from iiif_server.caches.owned import LEAVES, ForeignDirectory
from iiif_server.caches.sources.store import KeepsSources
from iiif_server.caches.upkeep import Amount, DerivativeUpkeep, Selection, Upkeep, purge, survey
from iiif_server.config.load import directory_config
from iiif_server.config.model import Config
from iiif_server.errors import ConfigurationError
from iiif_server.imaging.tasks import SourceProperties
from iiif_server.plugins import Plugins, load_plugins, option_models
from iiif_server.workshop import DERIVATIVES, create_profile, read_config


class _Bar(tqdm):  # type: ignore[type-arg]  # only its stubs know that it is generic
    """A bar that starts no thread of its own."""

    monitor_interval = 0


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache on disk.

    Attributes:
        title: what people call it.
        profile: whose fetched sources it holds; ``None`` for the derivatives of all profiles.
        path: its directory, which need not exist.
        max_bytes: its budget; 0 if nothing is kept.
    """

    title: str
    profile: str | None
    path: Path
    max_bytes: int
    upkeep: Upkeep


def config_of(directory: Path | None, file: Path | None) -> Config:
    """The configuration in a file, or the one that serves a directory.

    Raises:
        ConfigurationError: listing every mistake.
    """
    plugins = load_plugins()
    if file is not None:
        return read_config(file, plugins)
    assert directory is not None
    return directory_config(directory, option_models(plugins), plugins.failures)


def caches_of(config: Config) -> list[Cache]:
    """The cache of derivatives, and after it those of fetched sources.

    Raises:
        ConfigurationError: a profile can't be made.
    """
    path = config.cache_path / DERIVATIVES
    upkeep = DerivativeUpkeep(CacheDirectory(path))
    derivatives = Cache("derivatives", None, path, config.disk_cache_size, upkeep)
    return [derivatives, *_source_caches(config, load_plugins())]


def described(cache: Cache, profiles: Sequence[str]) -> dict[str, Any]:
    """What a cache holds, as a JSON object; that of derivatives also by profile.

    Raises:
        ConfigurationError: the directory is no cache, or can't be looked at.
    """
    with _explained(cache):
        total, by_profile = survey(cache.upkeep, _progress(f"looking at {cache.title}"))
    found = {"directory": str(cache.path), **_amount(total), "max_bytes": cache.max_bytes}
    if cache.profile is None:
        known = {name: by_profile.pop(profile_digits(name), Amount()) for name in profiles}
        found["profiles"] = {name: _amount(amount) for name, amount in known.items()}
        found["other_profiles"] = _amount(_sum(by_profile.values()))
    return found


def lines_of(cache: Cache, found: dict[str, Any]) -> Iterator[str]:
    """What :func:`described` a cache, for people."""
    yield f"{cache.title}, in {found['directory']}: {_told(found, f' of {_size(cache.max_bytes)}')}"
    for name, amount in found.get("profiles", {}).items():
        yield f"  {name}: {_told(amount)}"
    if found.get("other_profiles", {}).get("entries"):
        yield f"  profiles that are not configured: {_told(found['other_profiles'])}"


def purged(cache: Cache, selection: Selection, *, dry_run: bool) -> str:
    """Remove what is selected, and tell how much that was.

    Raises:
        ConfigurationError: the directory is no cache, or can't be used.
    """
    with _explained(cache):
        leaves = _progress(f"purging {cache.title}")
        amount = purge(cache.upkeep, selection, dry_run=dry_run, leaves=leaves)
    return f"{_entries(amount.entries)}, {_size(amount.bytes)}"


def _source_caches(config: Config, plugins: Plugins) -> Iterator[Cache]:
    for name, configured in config.profiles.items():
        try:
            profile = create_profile(configured, config, plugins, _never_probe)
        except Exception as error:
            raise ConfigurationError([f"profiles.{name}: the profile can't be made: {error!r}"]) from error
        if isinstance(profile, KeepsSources):
            upkeep = profile.sources.upkeep(name)
            yield Cache(f"sources of {name}", name, upkeep.path, upkeep.max_bytes, upkeep)


async def _never_probe(path: Path, version: str, page: int = 1) -> SourceProperties:
    raise NotImplementedError(f"nothing is probed without a server: {path}, {version}, {page}")


@contextmanager
def _explained(cache: Cache) -> Iterator[None]:
    try:
        yield
    except ForeignDirectory as error:
        raise ConfigurationError([str(error)]) from None
    except OSError as error:
        raise ConfigurationError([f"{cache.path}: {error.strerror or error}"]) from None


def _progress(what: str) -> Iterable[str]:
    """The leaves, with a bar on a terminal if going through them takes more than a moment."""
    layout = "{desc}: {percentage:3.0f}% |{bar}| {remaining} left"
    return _Bar(LEAVES, desc=what, bar_format=layout, disable=None, delay=0.5, leave=False)


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total.merge(amount)
    return total


def _amount(amount: Amount) -> dict[str, Any]:
    return {
        "entries": amount.entries,
        "bytes": amount.bytes,
        "oldest_use": _time(amount.oldest_use),
        "newest_use": _time(amount.newest_use),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _told(amount: dict[str, Any], budget: str = "") -> str:
    text = f"{_entries(amount['entries'])}, {_size(amount['bytes'])}{budget}"
    if not amount["entries"]:
        return text
    return f"{text}, last used between {amount['oldest_use']} and {amount['newest_use']}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _size(count: float) -> str:
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1024 and len(units) > 1:
        count /= 1024
        del units[0]
    return f"{count:.3g} {units[0]}" if count < 1000 else f"{count:.0f} {units[0]}"

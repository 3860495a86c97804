"""Profiles for tests, made from options as a configuration file has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from iiif_server.api import Profile, ProfileOptions, ProfileType, Route
from iiif_server.config.load import load_config
from iiif_server.config.model import Config
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.profiles.base import Probe
from iiif_server.workshop import create_profile

RIGHTS = "http://creativecommons.org/publicdomain/zero/1.0/"
"""The ``rights`` of a profile whose test says nothing of them."""


@dataclass(frozen=True)
class ProfileSetup:
    """A profile as one entry of a configuration file, from which living ones are made.

    Attributes:
        name: of the profile.
        profile_type: what makes it.
        entry: its options as they stand in the file.
        directory: where the configuration file is, so where relative paths in it begin; ``source`` and
            ``cache`` are below it.
        probe: what looks at headers.
        cache: the directory of what can be made again, where it is not ``cache``.
    """

    name: str
    profile_type: ProfileType
    entry: Mapping[str, Any]
    directory: Path
    probe: Probe
    cache: Path | None = None

    @property
    def options(self) -> ProfileOptions:
        """The options, checked as the server checks them. Blocks.

        Raises:
            ConfigurationError: with a line for every mistake.
        """
        return self._config().profiles[self.name].options

    @property
    def source_path(self) -> Path:
        """The directory that the profile is given for its sources."""
        return self.directory / "source" / self.name

    @property
    def cache_path(self) -> Path:
        """The directory that the profile is given for what it keeps."""
        return (self.cache or self.directory / "cache") / "profiles" / self.name

    def with_options(self, **options: Any) -> ProfileSetup:
        """The same with other options besides or instead."""
        return replace(self, entry={**self.entry, **options})

    def with_cache(self, path: Path) -> ProfileSetup:
        """The same with its cache somewhere else, as on its first day."""
        return replace(self, cache=path)

    @asynccontextmanager
    async def live(self) -> AsyncIterator[Profile[Any]]:
        """Make and open the profile as the server does, and close it afterwards."""
        config = await asyncio.to_thread(self._config)
        profile = create_profile(config.profiles[self.name], config, plugins_for(self), self.probe)
        await profile.open()
        try:
            yield profile
        finally:
            await profile.close()

    def _config(self) -> Config:
        return configuration([self], {"cache_path": str(self.cache)} if self.cache else {})


def installed_type(name: str) -> ProfileType:
    """The installed profile type of this name, found as the server finds it.

    Raises:
        LookupError: no installed plugin registers it; the text says which did not load and why.
    """
    plugins = load_plugins()
    if name in plugins.profile_types:
        return plugins.profile_types[name]
    known = ", ".join(sorted(plugins.profile_types)) or "none"
    failures = "".join(f"; the plugin {plugin} failed: {why}" for plugin, why in plugins.failures.items())
    raise LookupError(
        f"no installed plugin registers the profile type {name!r}; there are: {known}{failures}"
    )


def plugins_for(*setups: ProfileSetup, routes: tuple[Route, ...] = ()) -> Plugins:
    """What finding the plugins would give if there were no others."""
    types = {setup.profile_type.name: setup.profile_type for setup in setups}
    return Plugins((), MappingProxyType(types), routes)


def routes_of(*setups: ProfileSetup) -> tuple[Route, ...]:
    """The routes that the installed plugins of these profiles register. Blocks."""
    wanted = {setup.profile_type.name for setup in setups}
    found = load_plugins().found
    return tuple(route for plugin in found if wanted & set(plugin.profile_types) for route in plugin.routes)


def configuration(setups: list[ProfileSetup], settings: Mapping[str, Any]) -> Config:
    """Write a configuration file of these profiles, and read it as the server does. Blocks.

    Args:
        setups: at least one; the first one's directory holds the file.
        settings: keys of the top level, besides or instead of the kit's own.

    Raises:
        ConfigurationError: with a line for every mistake.
    """
    directory = setups[0].directory
    document = {
        "source_path": str(directory / "source"),
        "cache_path": str(directory / "cache"),
        "image_pool_size": 1,
        **settings,
        "profiles": {
            setup.name: {"type": setup.profile_type.name, "rights": RIGHTS, **setup.entry} for setup in setups
        },
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "iiif-server.yaml"
    # JSON is YAML as well.
    path.write_text(json.dumps(document, default=str, indent=1), encoding="utf-8")
    option_models = {setup.profile_type.name: setup.profile_type.options for setup in setups}
    return load_config(path, option_models, {})

"""Find the installed plugins and collect what they register."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from iiif_server import hookspecs
from iiif_server.errors import ConfigurationError
from iiif_server.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iiif_server.profiles.base import ProfileType
    from iiif_server.profiles.options import ProfileOptions
    from iiif_server.routes import Route


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of the group ``iiif_server``.

    Attributes:
        name: the entry point's name.
        distribution: the package that brought it, with its version.
        profile_types: the names of the profile types it registered.
        routes: the addresses that it answers.
        failure: why it could not be loaded, if it could not.
    """

    name: str
    distribution: str
    profile_types: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Plugins:
    """What was found: every plugin, and the profile types and routes of those that loaded."""

    found: tuple[Plugin, ...]
    profile_types: Mapping[str, ProfileType]
    routes: tuple[Route, ...] = ()

    @property
    def failures(self) -> dict[str, str]:
        """Why each plugin that did not load did not, by ``name (distribution version)``."""
        return {
            f"{plugin.name} ({plugin.distribution})": plugin.failure
            for plugin in self.found
            if plugin.failure
        }


def create_plugin_manager() -> tuple[pluggy.PluginManager, dict[str, Plugin]]:
    """Make a plugin manager with every installed plugin registered that can be loaded.

    A plugin that can't be loaded is recorded with the reason instead: only a configured profile that needs it
    stops the start.

    Returns:
        The manager, and all entry points found by name.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    found: dict[str, Plugin] = {}
    for entry in sorted(importlib.metadata.entry_points(group=PROJECT), key=lambda entry: entry.name):
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
        failure = None
        try:
            manager.register(entry.load(), name=entry.name)
            manager.check_pending()
        except Exception as error:  # noqa: BLE001 - whatever a plugin's import raises must not stop the others
            if manager.has_plugin(entry.name):
                manager.unregister(name=entry.name)
            failure = _describe(error)
        found[entry.name] = Plugin(entry.name, distribution, failure=failure)
    return manager, found


def load_plugins() -> Plugins:
    """Load the installed plugins and collect their profile types and routes.

    Raises:
        ConfigurationError: two plugins register the same profile type, or routes for the same addresses.
    """
    manager, found = create_plugin_manager()
    owners: dict[str, str] = {}
    types: dict[str, ProfileType] = {}
    routes: list[Route] = []
    for name, plugin in manager.list_name_plugin():
        try:
            registered: list[ProfileType] = _collect(manager, plugin, "iiif_register_profiles")
            answered: list[Route] = _collect(manager, plugin, "iiif_register_routes")
        except Exception as error:  # noqa: BLE001 - a plugin's own mistake, told with its name
            found[name] = replace(found[name], failure=_describe(error))
            continue
        _claim(owners, name, [f"profile type {profile_type.name!r}" for profile_type in registered])
        _claim(owners, name, [f"route {route.shape!r}" for route in answered])
        types |= {profile_type.name: profile_type for profile_type in registered}
        routes += answered
        found[name] = replace(
            found[name],
            profile_types=tuple(sorted(item.name for item in registered)),
            routes=tuple(answered),
        )
    return Plugins(tuple(found.values()), MappingProxyType(types), tuple(routes))


def _collect(manager: pluggy.PluginManager, plugin: object, hook: str) -> list[Any]:
    """What one plugin answers to a hook."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    return [item for answer in manager.subset_hook_caller(hook, others)() for item in answer]


def _claim(owners: dict[str, str], plugin: str, things: Sequence[str]) -> None:
    """Note whose these are, unless they are somebody else's."""
    for thing in things:
        if thing in owners:
            clash = f"The {thing} is registered by both plugins {owners[thing]!r} and {plugin!r}"
            raise ConfigurationError([f"{clash}: uninstall one of them."])
        owners[thing] = plugin


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def option_models(plugins: Plugins) -> dict[str, type[ProfileOptions]]:
    """The options model of each installed profile type, by its name."""
    return {name: profile_type.options for name, profile_type in plugins.profile_types.items()}

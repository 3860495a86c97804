"""Find the installed plugins and collect what they register."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pluggy

from iiif_server import hookspecs
from iiif_server.errors import ConfigurationError
from iiif_server.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iiif_server.profiles.base import ProfileType
    from iiif_server.profiles.options import ProfileOptions


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of the group ``iiif_server``.

    Attributes:
        name: the entry point's name.
        distribution: the package that brought it, with its version.
        profile_types: the names of the profile types it registered.
        failure: why it could not be loaded, if it could not.
    """

    name: str
    distribution: str
    profile_types: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Plugins:
    """What was found: every plugin, and the profile types of those that loaded."""

    found: tuple[Plugin, ...]
    profile_types: Mapping[str, ProfileType]

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
    """Load the installed plugins and collect their profile types.

    Raises:
        ConfigurationError: two plugins register the same profile type.
    """
    manager, found = create_plugin_manager()
    owners: dict[str, str] = {}
    types: dict[str, ProfileType] = {}
    for name, plugin in manager.list_name_plugin():
        others = [other for other in manager.get_plugins() if other is not plugin]
        try:
            registered = [
                profile_type
                for answer in manager.subset_hook_caller("iiif_register_profiles", others)()
                for profile_type in answer
            ]
        except Exception as error:  # noqa: BLE001 - a plugin's own mistake, told with its name
            found[name] = replace(found[name], failure=_describe(error))
            continue
        for profile_type in registered:
            if profile_type.name in types:
                raise ConfigurationError([_clash(profile_type.name, owners[profile_type.name], name)])
            types[profile_type.name] = profile_type
            owners[profile_type.name] = name
        found[name] = replace(found[name], profile_types=tuple(sorted(item.name for item in registered)))
    return Plugins(tuple(found.values()), MappingProxyType(types))


def _clash(type_name: str, first: str, second: str) -> str:
    return (
        f"The profile type {type_name!r} is registered by both plugins {first!r} and {second!r}: "
        "uninstall one of them."
    )


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def option_models(plugins: Plugins) -> dict[str, type[ProfileOptions]]:
    """The options model of each installed profile type, by its name."""
    return {name: profile_type.options for name, profile_type in plugins.profile_types.items()}

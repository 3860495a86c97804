"""The hooks a plugin may implement. Their docstrings are the reference.

Hooks are called once, at start-up, to collect objects; a request never passes through one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iiif_server.profiles.base import ProfileType
    from iiif_server.routes import Route

PROJECT = "iiif_server"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def iiif_register_profiles() -> Sequence[ProfileType]:  # type: ignore[empty-body]
    """Return the profile types this plugin provides.

    A configuration then names them as the ``type`` of a profile. Two plugins that register one name are an
    error at start-up.
    """


@hookspec
def iiif_register_routes() -> Sequence[Route]:  # type: ignore[empty-body]
    """Return addresses that this plugin answers, besides those of the server.

    They are there whatever the configuration says. A route that would take an address of the server's, or of
    another plugin, is an error at start-up.
    """

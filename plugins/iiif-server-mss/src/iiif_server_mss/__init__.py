"""The profile type ``mss``: the Natural History Museum's media store."""

from __future__ import annotations

from iiif_server.api import ProfileType, Route, hookimpl

from iiif_server_mss.mam import redirect
from iiif_server_mss.options import MssOptions
from iiif_server_mss.profile import MssProfile

__all__ = ["MssOptions", "MssProfile", "iiif_register_profiles", "iiif_register_routes"]


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``mss``."""
    return [ProfileType("mss", MssOptions, MssProfile)]


@hookimpl
def iiif_register_routes() -> list[Route]:
    """Register the old addresses."""
    return [Route("/mam/{asset_id}", redirect)]

"""The profile type ``http``: images of web servers, fetched with care and kept for a while."""

from iiif_server.api import ProfileType, hookimpl
from iiif_server_http.options import HttpOptions
from iiif_server_http.profile import HttpProfile

__all__ = ["HttpOptions", "HttpProfile", "iiif_register_profiles"]


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``http``."""
    return [ProfileType("http", HttpOptions, HttpProfile)]

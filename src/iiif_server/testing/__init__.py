"""A kit for those who write profiles: a contract to test one against, images, and servers to try it in.

It needs what ``pip install 'iiif-server[testing]'`` adds, and is a plugin of pytest, too: its fixtures are in
:mod:`iiif_server.testing.plugin`. The names here are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iiif_server.testing.apps import Answer, RunningApp, image_path
    from iiif_server.testing.contract import ProfileContract
    from iiif_server.testing.images import KnownImage, draw_image, encode, gradient, mean_difference
    from iiif_server.testing.processes import ServerFactory, ServerProcess
    from iiif_server.testing.profiles import ProfileSetup

_HOMES = {
    "Answer": "apps",
    "KnownImage": "images",
    "ProfileContract": "contract",
    "ProfileSetup": "profiles",
    "RunningApp": "apps",
    "ServerFactory": "processes",
    "ServerProcess": "processes",
    "draw_image": "images",
    "encode": "images",
    "gradient": "images",
    "image_path": "apps",
    "mean_difference": "images",
}

__all__ = [
    "Answer",
    "KnownImage",
    "ProfileContract",
    "ProfileSetup",
    "RunningApp",
    "ServerFactory",
    "ServerProcess",
    "draw_image",
    "encode",
    "gradient",
    "image_path",
    "mean_difference",
]


def __getattr__(name: str) -> Any:
    """Load a name from the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

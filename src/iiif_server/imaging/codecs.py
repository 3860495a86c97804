"""The libraries that decode and encode, and which versions of them are installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import PIL
from PIL import features

from iiif_server.iiif.parameters import Format

_WITHIN_PILLOW = {
    "LittleCMS": "littlecms2",
    "OpenJPEG": "jpg_2000",
    "libavif": "avif",
    "libjpeg-turbo": "libjpeg_turbo",
    "libtiff": "libtiff",
    "libwebp": "webp",
    "zlib": "zlib",
}
"""What Pillow brings or is built with, by its name there."""
_PACKAGES = ("cykooz-resizer", "imagecodecs", "numpy", "pillow-heif", "tifffile")

WRITERS: dict[Format, tuple[str, ...]] = {
    Format.JPG: ("libjpeg-turbo",),
    Format.PNG: ("Pillow", "zlib"),
    Format.WEBP: ("libwebp",),
    Format.TIF: ("libtiff",),
    Format.GIF: ("Pillow",),
    Format.AVIF: ("libavif",),
    Format.JP2: ("OpenJPEG",),
    Format.PDF: ("Pillow", "libjpeg-turbo"),
}
"""What writes each format."""


def versions(names: Iterable[str] = ("Pillow", *_WITHIN_PILLOW, *_PACKAGES)) -> dict[str, str | None]:
    """The installed version of each library, ``None`` for one that is missing; nothing is imported for it."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    if name == "Pillow":
        return PIL.__version__
    if name in _WITHIN_PILLOW:
        found = features.version(_WITHIN_PILLOW[name])
        return str(found) if found else None
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""HEIC: decoded by libheif through pillow-heif, which sets pictures upright itself."""

from __future__ import annotations

from typing import BinaryIO

import pillow_heif

from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.pillow import open_by_pillow
from iiif_server.imaging.tasks import SourceLimits

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def open_heif(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a header; of several pictures the primary one counts.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    return open_by_pillow("HEIF", file, limits)

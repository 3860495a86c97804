"""HEIC: decoded by libheif through pillow-heif, which sets pictures upright itself."""

from __future__ import annotations

import os
from typing import BinaryIO

import pillow_heif

from iiif_server.errors import UnreadableSource
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.pillow import open_by_pillow
from iiif_server.imaging.tasks import SourceLimits

_MAX_BOXES = 1000

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def open_heif(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a header; of several pictures the primary one counts.

    Raises:
        UnreadableSource: it is damaged, or cut short, of which the decoder would make something.
        SourceTooLarge: it is beyond the limits.
    """
    if not _is_whole(file):
        raise UnreadableSource("The source image is a damaged HEIC file: it is cut short.")
    return open_by_pillow("HEIF", file, limits)


def _is_whole(file: BinaryIO) -> bool:
    """Tell whether the file is as long as its boxes say (ISO/IEC 14496-12 section 4.2)."""
    end, at = os.fstat(file.fileno()).st_size, 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length == 0 or length < 8:  # to the end of the file, or nonsense for the decoder to refuse
            return True
        at += length
        if at >= end:
            return at == end
    return True

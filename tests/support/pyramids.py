"""Pyramidal TIFFs of the kinds that operators bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from PIL import Image


@dataclass(frozen=True)
class Kind:
    """How a pyramid is stored.

    Attributes:
        name: of the kind.
        by_libvips: whether libvips writes it, with shared tables and sides rounded down, or tifffile, with
            tables in each tile and sides rounded up.
        quality: of the JPEG tiles; libvips stores RGB from 90 on, below it YCbCr 4:2:0.
        bands: 1 for gray.
        subifds: whether the smaller levels are in SubIFDs of the first.
    """

    name: str
    by_libvips: bool
    quality: int = 80
    bands: int = 3
    subifds: bool = False


KINDS = (
    Kind("YCbCr 4:2:0, shared tables", by_libvips=True),
    Kind("YCbCr 4:2:0, SubIFDs", by_libvips=True, subifds=True),
    Kind("RGB", by_libvips=True, quality=95),
    Kind("gray", by_libvips=True, bands=1),
    Kind("own tables", by_libvips=False),
    Kind("own tables, SubIFDs", by_libvips=False, subifds=True),
    Kind("own tables, gray", by_libvips=False, bands=1),
)


def write_pyramid(path: Path, image: Image.Image, kind: Kind, tile: int = 128) -> Path:
    """Store an image as a pyramid of JPEG tiles, down to one tile."""
    pixels = np.asarray(image.convert("L" if kind.bands == 1 else "RGB"))
    if kind.by_libvips:
        options: dict[str, Any] = {
            "tile_width": tile,
            "tile_height": tile,
            "subifd": kind.subifds,
            "Q": kind.quality,
        }
        pyvips.Image.new_from_array(pixels).tiffsave(
            str(path), tile=True, pyramid=True, compression="jpeg", **options
        )
        return path
    levels = [pixels]
    while max(levels[-1].shape[:2]) > tile:
        levels.append(np.ascontiguousarray(levels[-1][::2, ::2]))
    how: dict[str, Any] = {
        "photometric": "minisblack" if kind.bands == 1 else "rgb",
        "tile": (tile, tile),
        "compression": "jpeg",
        "compressionargs": {"level": kind.quality},
    }
    with tifffile.TiffWriter(path) as writer:
        writer.write(levels[0], subifds=len(levels) - 1 if kind.subifds else None, **how)
        for level in levels[1:]:
            writer.write(level, subfiletype=1, **how)
    return path

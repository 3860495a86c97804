"""Read a rectangle of a TIFF page, decoding only the tiles or strips that it touches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffPage

from iiif_server.errors import SourceTooLarge
from iiif_server.iiif.geometry import Dimensions, Rectangle

_BAND = 256
"""At least so many rows are put together at a time: fewer, and Python's own work shows."""
_BAND_SAMPLES = 4 << 20
"""So many are put together at once: a tile of a viewer in one piece, without copying it again."""
_PIXELS_OF_SAMPLE = 2
"""Bytes of Pillow's memory for each sample, roughly: four for three of them."""
_MAX_SEGMENT_BYTES = 1 << 30
_OLD_JPEG, _JPEG = 6, 7
_SEPARATE = 2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ROUNDING = 16
"""Encoders may state a tile's size up to whole coded units."""


class Band(NamedTuple):
    """Some rows of a rectangle: the first one's place in it, and samples by row, column and channel."""

    top: int
    samples: NDArray[Any]


def read_bands(descriptor: int, page: TiffPage, part: Rectangle) -> Iterator[Band]:
    """Read a rectangle of a page from top to bottom, in bands of bounded height.

    Raises:
        SourceTooLarge: one segment is beyond reason.
        Exception: whatever the decoders raise over damaged data.
    """
    grid = _Grid(page)
    rows = max(_BAND, _BAND_SAMPLES // (part.width * page.samplesperpixel))
    rows_at_once = ceil(rows / grid.segment.height)
    first, last = part.y // grid.segment.height, ceil((part.y + part.height) / grid.segment.height)
    for row in range(first, last, rows_at_once):
        top = max(part.y, row * grid.segment.height)
        bottom = min(part.y + part.height, (row + rows_at_once) * grid.segment.height)
        band = Rectangle(part.x, top, part.width, bottom - top)
        yield Band(top - part.y, _read_band(descriptor, page, grid, band))


def band_memory(page: TiffPage, sample_bytes: int) -> int:
    """Bytes that reading a page in bands takes besides the pixels that come out.

    Args:
        page: that is read.
        sample_bytes: what bringing a sample to 8 bits takes, besides the sample as stored.
    """
    size = _segment_size(page)
    itemsize = 8 if page.dtype is None else page.dtype.itemsize
    if page.is_tiled:
        samples, is_whole = _BAND_SAMPLES, False
    else:
        rows = max(_BAND, _BAND_SAMPLES // (page.imagewidth * page.samplesperpixel))
        rows = min(page.imagelength, ceil(rows / size.height) * size.height)
        samples, is_whole = rows * page.imagewidth * page.samplesperpixel, rows == page.imagelength
    planes = page.samplesperpixel if page.planarconfig == _SEPARATE else 1
    segment = size.width * size.height * page.samplesperpixel // planes
    pixels = 0 if is_whole else _PIXELS_OF_SAMPLE  # of a band, before they are laid to the others
    return samples * (itemsize + sample_bytes + pixels) + segment * itemsize


def _segment_size(page: TiffPage) -> Dimensions:
    """Of a tile, or of a strip, in pixels."""
    if page.is_tiled:
        return Dimensions(page.tilewidth, page.tilelength)
    return Dimensions(page.imagewidth, max(1, min(page.rowsperstrip or page.imagelength, page.imagelength)))


class _Grid:
    """How a page is divided into tiles or strips."""

    def __init__(self, page: TiffPage) -> None:
        width, height = page.imagewidth, page.imagelength
        self.segment = _segment_size(page)
        self.separate = page.planarconfig == _SEPARATE
        self.columns = ceil(width / self.segment.width)
        self.rows = ceil(height / self.segment.height)
        self.planes = page.samplesperpixel if self.separate else 1
        assert page.dtype is not None
        channels = 1 if self.separate else page.samplesperpixel
        if self.segment.width * self.segment.height * channels * page.dtype.itemsize > _MAX_SEGMENT_BYTES:
            raise SourceTooLarge("The source image is stored in tiles or strips that are too large.")
        if len(page.dataoffsets) < self.columns * self.rows * self.planes:
            raise ValueError("fewer tiles or strips than the image needs")


def _read_band(descriptor: int, page: TiffPage, grid: _Grid, band: Rectangle) -> NDArray[Any]:
    samples = np.zeros((band.height, band.width, page.samplesperpixel), page.dtype)
    width, height = grid.segment
    for row in range(band.y // height, ceil((band.y + band.height) / height)):
        for column in range(band.x // width, ceil((band.x + band.width) / width)):
            for plane in range(grid.planes):
                index = (plane * grid.rows + row) * grid.columns + column
                segment = _decode(descriptor, page, index, grid.segment)
                if segment is not None:
                    target = samples[..., plane : plane + 1] if grid.separate else samples
                    _copy(segment, column * width - band.x, row * height - band.y, target)
    return samples


def _copy(segment: NDArray[Any], x: int, y: int, target: NDArray[Any]) -> None:
    """Copy a segment whose corner lies at x and y of the target, cut at the target's edges."""
    left, top = max(0, x), max(0, y)
    right = min(target.shape[1], x + segment.shape[1])
    bottom = min(target.shape[0], y + segment.shape[0])
    target[top:bottom, left:right] = segment[top - y : bottom - y, left - x : right - x, : target.shape[2]]


def _decode(descriptor: int, page: TiffPage, index: int, size: Dimensions) -> NDArray[Any] | None:
    """A tile or strip by row, column and channel; ``None`` for one that the file leaves out."""
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    if not count:
        return None
    data = os.pread(descriptor, min(count, max(0, os.fstat(descriptor).st_size - offset)), offset)
    if page.compression == _JPEG:
        _check_jpeg(data, size)
    tables: dict[str, Any] = {}
    if page.compression in {_OLD_JPEG, _JPEG}:
        tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    decoded: NDArray[Any] | None = page.decode(data, index, **tables)[0]
    return None if decoded is None else decoded[0]


def _check_jpeg(data: bytes, size: Dimensions) -> None:
    """Refuse a JPEG stream that would unfold to more than its tile or strip."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _FRAMES:
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            if width > size.width + _JPEG_ROUNDING or height > size.height + _JPEG_ROUNDING:
                raise ValueError(f"a tile of {size} holds a JPEG of {width} x {height}")
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    raise ValueError("a tile holds no JPEG")

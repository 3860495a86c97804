"""Open a TIFF: its levels by tifffile, or all of it by libtiff through Pillow."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from math import ceil
from typing import Any, BinaryIO

from PIL import Image
from tifffile import TiffFile, TiffPage

from iiif_server.errors import IIIFServerError, ImageNotFound, SourceTooLarge
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.colour import conversion_bytes, has_color
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import credit_of_tiff
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import check_size, guarded_decoding
from iiif_server.imaging.metadata import PER_CENTIMETRE, PER_INCH, resolution
from iiif_server.imaging.orientation import IDENTITY, from_exif
from iiif_server.imaging.pieces import Pieces
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.readers.pillow import PillowSource
from iiif_server.imaging.readers.tiff.pages import can_decode, find_levels
from iiif_server.imaging.readers.tiff.samples import (
    Interpretation,
    Range,
    find_range,
    interpretation,
    to_image,
)
from iiif_server.imaging.readers.tiff.segments import band_memory, read_bands
from iiif_server.imaging.readers.tiff.tiles import tile_levels
from iiif_server.imaging.tasks import SourceLimits

_WIDTH, _HEIGHT, _ORIENTATION, _PROFILE = 256, 257, 274, 34675
_RESOLUTION_UNIT, _X_RESOLUTION, _Y_RESOLUTION = 296, 282, 283
_SMALLEST_TILE, _LARGEST_TILE = 192, 1024
_NEEDS = {
    "L": (1, 1),
    "LA": (5, 2),
    "La": (9, 2),
    "RGB": (4, 3),
    "RGBA": (5, 4),
    "RGBa": (9, 4),
    "CMYK": (8, 3),
    "YCbCr": (8, 3),
    "LAB": (8, 3),
}
"""Bytes of each pixel while a mode is brought to L, LA, RGB or RGBA, and channels then."""
_UNITS = {2: PER_INCH, 3: PER_CENTIMETRE}

# What it has to say about damaged files is said once, by the error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class TiffSource(Source):
    """One page of a TIFF file with its smaller levels."""

    def __init__(
        self, file: BinaryIO, header: Header, levels: dict[int, TiffPage], limits: SourceLimits
    ) -> None:
        super().__init__(file, header)
        self._levels = levels
        self._meaning = interpretation(levels[1])
        self._limits = limits
        self._range: Range | None = None

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`.

        A level that its maker rounded down lacks its last row or column: the one before is repeated.
        """
        page = self._levels[reduction]
        if part is None:
            part = Rectangle(0, 0, *level_size(self.header.stored, reduction))
        if part.width * part.height > self._limits.max_pixels:
            raise SourceTooLarge("This needs more of the source image than this server decodes at once.")
        x, y = min(part.x, page.imagewidth - 1), min(part.y, page.imagelength - 1)
        there = Rectangle(x, y, min(part.width, page.imagewidth - x), min(part.height, page.imagelength - y))
        image = _extended(self._read(page, there), part.size)
        return Decoded(image, _value(self._levels[1], _PROFILE))

    def decoding(self, media_type: str) -> Decoding:
        """See :meth:`Source.decoding`. Samples are put together and converted in bands of some rows."""
        page, meaning = self._levels[1], self._meaning
        per_pixel, channels = _NEEDS[meaning.mode]
        return replace(
            super().decoding(media_type),
            per_pixel=per_pixel + conversion_bytes(_value(page, _PROFILE), meaning.mode),
            file=0,
            fixed=band_memory(page, _sample_bytes(meaning)),
            channels=channels,
        )

    def credit(self) -> Credit:
        """See :meth:`Source.credit`; of the file's first page, which speaks for all."""
        return credit_of_tiff(self.file)

    def _read(self, page: TiffPage, part: Rectangle) -> Image.Image:
        descriptor, extent = self.file.fileno(), self._extent()
        canvas: Image.Image | None = None
        for top, samples in read_bands(descriptor, page, part):
            band = to_image(samples, self._meaning, extent)
            if band.height == part.height:
                return band
            if canvas is None:
                canvas = Image.new(band.mode, part.size)
            canvas.paste(band, (0, top))
        assert canvas is not None
        return canvas

    def _extent(self) -> Range | None:
        """The range of the full page's values, so that all levels and parts agree."""
        if not self._meaning.needs_range:
            return None
        if self._range is None:
            page = self._levels[1]
            whole = Rectangle(0, 0, page.imagewidth, page.imagelength)
            bands = read_bands(self.file.fileno(), page, whole)
            self._range = find_range(band.samples[..., : self._meaning.channels] for band in bands)
        return self._range


class LibtiffSource(PillowSource):
    """A TIFF that libtiff reads through Pillow, which sets it upright itself."""


def open_tiff(file: BinaryIO, limits: SourceLimits, page: int = 1) -> Source:
    """Read a TIFF's directories.

    Args:
        file: positioned anywhere.
        limits: what it may be. A tiled page may have more pixels than are decoded at once.
        page: from 1.

    Raises:
        ImageNotFound: there is no such page.
        UnreadableSource: it is damaged, or of a kind that can't be read.
        SourceTooLarge: it is beyond the limits.
    """
    levels = _levels(file, page)
    if levels is None:
        return _open_by_libtiff(file, limits, page)
    first = levels[1]
    stored = Dimensions(first.imagewidth, first.imagelength)
    check_size(stored, None if first.is_tiled else limits.max_pixels)
    turn, tile = from_exif(_value(first, _ORIENTATION)), _tile(levels)
    header = Header(
        stored,
        turn,
        interpretation(first).has_color,
        tuple(sorted(levels)),
        parts=first.is_tiled,
        pieces=Pieces(tile, is_cheap=True) if tile and turn == IDENTITY else None,
        resolution=_resolution(first),
        tile=tile,
        tiles=tile_levels(levels, _value(first, _PROFILE)) if turn == IDENTITY else (),
    )
    return TiffSource(file, header, levels, limits)


def _sample_bytes(meaning: Interpretation) -> int:
    """Bytes that bringing a sample to 8 bits takes: stretched, in double precision; cut; or as it is."""
    return 24 if meaning.needs_range else 3 if meaning.bits != 8 else 0


def _levels(file: BinaryIO, page: int) -> dict[int, TiffPage] | None:
    """The page's levels, or ``None`` if tifffile makes nothing of the file."""
    try:
        file.seek(0)
        levels = find_levels(TiffFile(file, name="source"), page)
    except (IIIFServerError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - it lets out anything over a damaged file; libtiff then tells
        return None
    return levels if can_decode(levels[1]) else None


def _open_by_libtiff(file: BinaryIO, limits: SourceLimits, page: int) -> Source:
    if page > 1:
        raise ImageNotFound("The source image has no such page that can be read.")
    with guarded_decoding(limits.max_pixels):
        file.seek(0)
        image = Image.open(file, formats=("TIFF",))
        tags: Any = getattr(image, "tag_v2", {})
        # Its header's size is as stored in older versions of Pillow.
        stored = from_exif(tags.get(_ORIENTATION)).size(Dimensions(int(tags[_WIDTH]), int(tags[_HEIGHT])))
        header = Header(stored, IDENTITY, has_color(image))
    check_size(stored, limits.max_pixels)
    return LibtiffSource(file, header, "TIFF")


def _extended(image: Image.Image, size: Dimensions) -> Image.Image:
    """Repeat the last column and row up to a size."""
    if image.size == size:
        return image
    width, height = image.size
    canvas = Image.new(image.mode, size)
    canvas.paste(image)
    last = image.crop((width - 1, 0, width, height))
    for x in range(width, size.width):
        canvas.paste(last, (x, 0))
    bottom = canvas.crop((0, height - 1, size.width, height))
    for y in range(height, size.height):
        canvas.paste(bottom, (0, y))
    return canvas


def _value(page: TiffPage, code: int) -> Any:
    """A tag's value, or ``None`` if it is missing or damaged."""
    with contextlib.suppress(Exception):
        tag = page.tags.get(code)
        return tag.value if tag is not None else None
    return None


def _tile(levels: dict[int, TiffPage]) -> Dimensions | None:
    """The tile to ask for: the stored one, or several of them together if it is small."""
    stored = {(page.tilewidth, page.tilelength) if page.is_tiled else (0, 0) for page in levels.values()}
    if len(stored) > 1 or not all(0 < side <= _LARGEST_TILE for side in next(iter(stored))):
        return None
    return Dimensions(*(side * ceil(_SMALLEST_TILE / side) for side in stored.pop()))


def _resolution(page: TiffPage) -> float | None:
    """Pixels per inch (TIFF 6.0 section 8)."""
    with contextlib.suppress(Exception):
        unit = _UNITS.get(int(_value(page, _RESOLUTION_UNIT) or 2))
        (x, over_x), (y, over_y) = _value(page, _X_RESOLUTION), _value(page, _Y_RESOLUTION)
        return resolution(x / over_x, y / over_y, unit)
    return None

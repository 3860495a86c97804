"""JPEG 2000 in tiles, of which only those are decoded that a request touches.

See docs/adr/0010-tiles-of-jpeg-2000.md.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from iiif_server.errors import SourceTooLarge
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import ceil_div, level_size
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import MAX_SIDE, guarded_decoding
from iiif_server.imaging.pieces import Pieces
from iiif_server.imaging.readers.base import Decoded
from iiif_server.imaging.readers.codestream import ReadAt, read_main_header
from iiif_server.imaging.readers.jp2 import Colours, Wrapping, codestream_extent, read_wrapping
from iiif_server.imaging.readers.pillow import PillowSource
from iiif_server.imaging.readers.tile_parts import Excerpt, TiledCodestream, read_tile_parts

_NAME = "JPEG2000"
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA"})
_SMALL = 1 << 22
"""Up to so many pixels, imagecodecs decodes: in three quarters of Pillow's time, with more memory."""


class TiledJpeg2000Source(PillowSource):
    """A JPEG 2000 whose tiles are decoded one by one.

    Args:
        file: that it is in.
        header: of the image.
        tiles: where they lie, and what stands around the codestream.
        mode: that Pillow gives the image.
        colours: what the file says of them.
        max_pixels: to decode at once.
    """

    def __init__(
        self,
        file: BinaryIO,
        header: Header,
        tiles: tuple[TiledCodestream, Wrapping],
        mode: str,
        colours: Colours,
        max_pixels: int,
    ) -> None:
        super().__init__(file, header, _NAME)
        self._codestream, self._wrapping = tiles
        self._profile, self._max_pixels = colours.profile, max_pixels
        self._most_unpacked = min(_SMALL, max_pixels)
        plain = mode in _PLAIN and not colours.is_ycc and self._codestream.header.is_bytes(len(mode))
        self._plain_mode = mode if plain else None

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`. A level that Pillow does not decode is averaged from the full size."""
        stored = self.header.stored
        if self._codestream.header.reduces(reduction):
            whole = level_size(stored, reduction)
            return Decoded(self._level(reduction, part or Rectangle(0, 0, *whole), whole), self._profile)
        x, y, width, height = part or Rectangle(0, 0, *stored)
        if part is not None:
            x, y = x * reduction, y * reduction
            width, height = (
                min(width * reduction, stored.width - x),
                min(height * reduction, stored.height - y),
            )
        image = self._level(1, Rectangle(x, y, width, height), stored)
        # The plain method: that of Pillow's class for the format is something else.
        return Decoded(Image.Image.reduce(image, reduction), self._profile)

    def _level(self, reduction: int, part: Rectangle, whole: Dimensions) -> Image.Image:
        """A part of a level that Pillow decodes."""
        # What is stated of the full size is no measure here.
        with guarded_decoding(MAX_SIDE**2):
            if part == (0, 0, *whole):
                return self._loaded(self.open_image(), reduction)
            header = self._codestream.header
            columns = header.across.touched(part.x, part.x + part.width, reduction)
            rows = header.down.touched(part.y, part.y + part.height, reduction)
            excerpt = self._codestream.excerpt(_reader(self.file), columns, rows, reduction)
            if reduction == 1 and self._plain_mode and excerpt.width * excerpt.height <= self._most_unpacked:
                tiles = _unpacked(excerpt, self._plain_mode)
            else:
                file = self._wrapping.around(excerpt.data, excerpt.width, excerpt.height)
                tiles = self._loaded(Image.open(BytesIO(file), formats=(_NAME,)), reduction)
        x, y = part.x - excerpt.x, part.y - excerpt.y
        return tiles.crop((x, y, x + part.width, y + part.height))

    def _loaded(self, image: Image.Image, reduction: int) -> Image.Image:
        width, height = (ceil_div(side, reduction) for side in image.size)
        if width * height > self._max_pixels:
            raise SourceTooLarge("This needs more of the source image than this server decodes at once.")
        image.reduce = reduction.bit_length() - 1  # type: ignore[method-assign, assignment]
        image.load()
        return image


def read_tiles(
    file: BinaryIO, stored: Dimensions, max_pixels: int
) -> tuple[TiledCodestream, Wrapping] | None:
    """Find the tiles of an image.

    Args:
        file: that it is in.
        stored: its size, as it was taken from the file.
        max_pixels: to decode at once.

    Returns:
        ``None`` if it has to be decoded whole: it has one tile, or its tiles can't be told apart or are
        too large, or it is damaged.
    """
    start, end = codestream_extent(file)
    read = _reader(file)
    try:
        header = read_main_header(read, start)
    except ValueError:
        return None  # it is Pillow that tells what is wrong
    if header is None or header.size != stored or header.across.count * header.down.count < 2:
        return None
    # Moved to where Pillow takes them, at half the size, they come with empty room (see Axis.cut).
    room = ceil_div(header.across.reach * header.down.reach, 4)
    tile = min(header.tile.width, stored.width) * min(header.tile.height, stored.height)
    if max(room, tile) > max_pixels:
        return None
    wrapping, codestream = read_wrapping(file), read_tile_parts(read, header, end)
    return None if wrapping is None or codestream is None else (codestream, wrapping)


def pieces_of(codestream: TiledCodestream) -> Pieces:
    """What is decoded and kept as a whole."""
    across, down = codestream.header.across, codestream.header.down
    return Pieces(codestream.header.tile, across.grid - across.start, down.grid - down.start)


def _unpacked(excerpt: Excerpt, mode: str) -> Image.Image:
    """What Pillow would make of it, by imagecodecs."""
    import imagecodecs

    samples = imagecodecs.jpeg2k_decode(excerpt.data, numthreads=1)
    shape = (excerpt.height, excerpt.width, *([len(mode)] if len(mode) > 1 else []))
    if samples.dtype.str != "|u1" or samples.shape != shape:
        raise ValueError(f"not {shape}: {samples.dtype} {samples.shape}")
    return Image.frombytes(mode, (excerpt.width, excerpt.height), samples.tobytes())


def _reader(file: BinaryIO) -> ReadAt:
    descriptor = file.fileno()
    return lambda at, size: os.pread(descriptor, size, at)

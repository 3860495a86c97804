"""PNG: decoded from the chunks that make the picture, by libpng through imagecodecs, or by Pillow.

libpng takes half of the time, and has a second copy of the pixels: common pictures of middling size are left
to it. Pillow decodes the others, and has the last word on what is damaged. Both give the same pixels.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from math import prod
from typing import BinaryIO

from PIL import Image

from iiif_server.errors import UnreadableSource
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.imaging import png
from iiif_server.imaging.colour import conversion_bytes, has_color
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import read_credit
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import check_size, guarded_decoding
from iiif_server.imaging.metadata import PER_METRE, exif_orientation, exif_resolution, resolution
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.tasks import SourceLimits

_BYTES_PER_PIXEL, _BYTES_BESIDES = 9, 16 << 20
_NEEDS = {
    "1": (2, 1),
    "L": (1, 1),
    "LA": (5, 2),
    "LA16": (10, 2),
    "L+A": (5, 2),
    "1+A": (6, 2),
    "I;16": (6, 1),
    "I": (14, 1),
    "P": (5, 3),
    "P+A": (6, 4),
    "RGB": (4, 3),
    "RGB+A": (9, 4),
    "RGBA": (5, 4),
}
"""Bytes of each pixel while the picture is decoded and brought to L, LA, RGB or RGBA, and channels then."""
_OTHER = (14, 4)
_DEPTH_AT, _COLOUR_TYPE_AT, _GRAY_WITH_ALPHA = 24, 25, 4
_QUICK_MODES = {"L": 1, "RGB": 7, "RGBA": 4}
"""What libpng is for, at 8 bits, and bytes of each pixel, as decoded and as Pillow has it."""
_QUICK_PIXELS = range(250_000, 64_000_000)
"""Of fewer it is not worth its import and numpy's; of more, memory counts."""


class PngSource(Source):
    """A PNG file."""

    def __init__(
        self, file: BinaryIO, header: Header, layout: png.PngLayout, mode: str, *, is_quick: bool
    ) -> None:
        super().__init__(file, header)
        self._layout = layout
        self._mode = mode
        self._is_quick = is_quick

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert reduction == 1
        assert part is None
        image = self._by_libpng() if self._is_quick else None
        return Decoded(image or self._by_pillow(), self._layout.icc)

    def _by_libpng(self) -> Image.Image | None:
        """``None`` if the file is damaged, in whatever way."""
        import imagecodecs

        mode, size = self._mode, self.header.stored
        try:
            samples = imagecodecs.png_decode(self._layout.assemble(self.file))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - every library has its own
            return None
        if samples.dtype != "uint8" or samples.nbytes != size.width * size.height * len(mode):
            return None
        if mode != "RGB":
            return Image.frombuffer(mode, size, samples, "raw", mode, 0, 1)  # the very same memory
        image = Image.new(mode, size, None)  # not filled with black first
        image.frombytes(samples.data)
        return image

    def _by_pillow(self) -> Image.Image:
        data = self._layout.assemble(self.file)
        image: Image.Image = Image.open(BytesIO(data), formats=("PNG",))
        image.load()
        if _is_gray_with_alpha(data) and image.mode == "RGBA":  # as Pillow reads it at 16 bits
            image = Image.merge("LA", (image.getchannel("R"), image.getchannel("A")))
        return image

    def decoding(self, media_type: str) -> Decoding:
        """See :meth:`Source.decoding`."""
        per_pixel, channels = _NEEDS.get(self._mode, _OTHER)
        file = self._layout.size
        if self._is_quick and (needs := _QUICK_MODES[self._mode]) > per_pixel:
            # The file is gone before Pillow has its copy.
            file = max(0, file - (needs - len(self._mode)) * prod(self.header.stored))
            per_pixel = needs
        per_pixel += conversion_bytes(self._layout.icc, ("L", "L", "LA", "RGB", "RGBA")[channels])
        return replace(
            super().decoding(media_type),
            per_pixel=per_pixel,
            file=file,
            channels=channels,
        )

    def credit(self) -> Credit:
        """See :meth:`Source.credit`."""
        return read_credit(self._layout.exif, self._layout.xmp, None)


def open_png(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a PNG's chunks.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    layout = png.read_layout(file)
    with guarded_decoding(limits.max_pixels):
        head = layout.assemble_head(file)
        image = Image.open(BytesIO(head), formats=("PNG",))
        stored = Dimensions(*image.size)
        dots = resolution(*layout.density, PER_METRE) if layout.density else exif_resolution(layout.exif)
        coloured = has_color(image) and not _is_gray_with_alpha(head)
        mode = _mode(image, head)
        header = Header(stored, exif_orientation(layout.exif), coloured, resolution=dots)
    check_size(stored, limits.max_pixels)
    if layout.size > _BYTES_BESIDES + _BYTES_PER_PIXEL * stored.width * stored.height:
        raise UnreadableSource("The source image is a damaged PNG file: more data than its pixels need.")
    is_quick = mode in _QUICK_MODES and head[_DEPTH_AT] == 8 and prod(stored) in _QUICK_PIXELS
    return PngSource(file, header, layout, mode, is_quick=is_quick)


def _mode(image: Image.Image, head: bytes) -> str:
    """That of the pixels, and whether alpha has to be added to them."""
    if _is_gray_with_alpha(head):
        return "LA16" if image.mode == "RGBA" else "LA"
    return image.mode + "+A" if "transparency" in image.info else image.mode


def _is_gray_with_alpha(data: bytes) -> bool:
    """Tell by the colour type, which the first chunk states (PNG third edition, 11.2.1)."""
    return data[_COLOUR_TYPE_AT] == _GRAY_WITH_ALPHA

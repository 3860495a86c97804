"""PNG: decoded by Pillow, from the chunks that make the picture."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
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
_COLOUR_TYPE_AT, _GRAY_WITH_ALPHA = 25, 4


class PngSource(Source):
    """A PNG file."""

    def __init__(self, file: BinaryIO, header: Header, layout: png.PngLayout, mode: str) -> None:
        super().__init__(file, header)
        self._layout = layout
        self._mode = mode

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert reduction == 1
        assert part is None
        data = self._layout.assemble(self.file)
        image: Image.Image = Image.open(BytesIO(data), formats=("PNG",))
        image.load()
        if _is_gray_with_alpha(data) and image.mode == "RGBA":  # as Pillow reads it at 16 bits
            image = Image.merge("LA", (image.getchannel("R"), image.getchannel("A")))
        return Decoded(image, self._layout.icc)

    def decoding(self, media_type: str) -> Decoding:
        """See :meth:`Source.decoding`."""
        per_pixel, channels = _NEEDS.get(self._mode, _OTHER)
        per_pixel += conversion_bytes(self._layout.icc, ("L", "L", "LA", "RGB", "RGBA")[channels])
        return replace(
            super().decoding(media_type),
            per_pixel=per_pixel,
            file=self._layout.size,
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
    return PngSource(file, header, layout, mode)


def _mode(image: Image.Image, head: bytes) -> str:
    """That of the pixels, and whether alpha has to be added to them."""
    if _is_gray_with_alpha(head):
        return "LA16" if image.mode == "RGBA" else "LA"
    return image.mode + "+A" if "transparency" in image.info else image.mode


def _is_gray_with_alpha(data: bytes) -> bool:
    """Tell by the colour type, which the first chunk states (PNG third edition, 11.2.1)."""
    return data[_COLOUR_TYPE_AT] == _GRAY_WITH_ALPHA

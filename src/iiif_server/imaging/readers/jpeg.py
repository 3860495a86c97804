"""JPEG: decoded by libjpeg-turbo through Pillow, which can shrink by 2, 4 and 8 as it decodes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from math import prod
from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from iiif_server.iiif.geometry import Rectangle
from iiif_server.imaging import jpeg
from iiif_server.imaging.colour import conversion_bytes, is_srgb
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import read_credit
from iiif_server.imaging.decoding import Decoding, JpegFacts
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import check_size
from iiif_server.imaging.metadata import (
    PER_CENTIMETRE,
    PER_INCH,
    exif_orientation,
    exif_resolution,
    resolution,
)
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.scan import Scan
from iiif_server.imaging.tasks import SourceLimits

_JFIF_UNITS = {1: PER_INCH, 2: PER_CENTIMETRE}
_ONE_PASS = frozenset({0xC0, 0xC1})
_COEFFICIENT = 2
"""Bytes in libjpeg's memory."""
_REDUCTIONS = (1, 2, 4, 8)
_CROPPABLE = {(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)}


class JpegSource(Source):
    """A JPEG file. Decoders only ever see its image data, never its metadata."""

    def __init__(self, file: BinaryIO, header: Header, layout: jpeg.JpegLayout) -> None:
        super().__init__(file, header)
        self._layout = layout
        self._held: bytes | None = None

    def data(self) -> bytes:
        """The image data without the metadata."""
        return self._layout.assemble(self.file) if self._held is None else self._held

    def hold(self) -> None:
        """Keep the data from now on, for those who need it at the same time."""
        self._held = self.data()

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert part is None
        image = Image.open(BytesIO(self.data()), formats=("JPEG",))
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        if reduction > 1:
            # Rounded down, since Pillow picks the scale by dividing the full size by this one.
            image.draft(None, (image.width // reduction, image.height // reduction))
        image.load()
        return Decoded(image, self._layout.icc)

    def decoding(self, media_type: str) -> Decoding:
        """See :meth:`Source.decoding`; of several scans, all coefficients are kept until the last one."""
        frame, channels = self._layout.frame, len(self._layout.frame.components)
        blocks = sum(part.horizontal * part.vertical for part in frame.components)
        of_largest = max(part.horizontal * part.vertical for part in frame.components)
        coefficients = round(prod(frame.size) * _COEFFICIENT * blocks / of_largest)
        per_pixel = {1: 1, 3: 4}.get(channels, 8)  # of CMYK another image is made
        return replace(
            super().decoding(media_type),
            per_pixel=per_pixel + conversion_bytes(self._layout.icc, "L" if channels == 1 else "RGB"),
            fixed=0 if frame.kind in _ONE_PASS else coefficients,
            coefficients=coefficients,
            channels=1 if channels == 1 else 3,
        )

    def credit(self) -> Credit:
        """See :meth:`Source.credit`."""
        return read_credit(self._layout.exif, self._layout.xmp, self._layout.iptc)


def open_jpeg(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a JPEG's segments up to its end.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    layout = jpeg.read_layout(file, max_pixels=limits.max_pixels, max_scans=limits.max_jpeg_scans)
    check_size(layout.frame.size, limits.max_pixels)
    facts = _facts(layout, layout.head(file))
    header = Header(
        layout.frame.size,
        exif_orientation(layout.exif),
        not facts.gray,
        _REDUCTIONS,
        resolution=_resolution(layout),
        jpeg=facts,
    )
    return JpegSource(file, header, layout)


def _resolution(layout: jpeg.JpegLayout) -> float | None:
    """As EXIF has it, else as JFIF has it."""
    if (stated := exif_resolution(layout.exif)) is not None or layout.density is None:
        return stated
    unit, x, y = layout.density
    return resolution(x, y, _JFIF_UNITS.get(unit))


def _facts(layout: jpeg.JpegLayout, head: bytes) -> JpegFacts:
    frame, scan = layout.frame, Scan.of(head)
    gray = len(frame.components) == 1
    sampling = [(part.horizontal, part.vertical) for part in frame.components]
    return JpegFacts(
        mcu=frame.mcu,
        gray=gray,
        portable=(
            frame.kind in {0xC0, 0xC1, 0xC2}
            and (gray or layout.is_ycc)
            and is_srgb(layout.icc, "L" if gray else "RGB")
        ),
        croppable=set(sampling[1:]) <= {(1, 1)} and sampling[0] in ({(1, 1)} if gray else _CROPPABLE),
        in_strips=scan is not None and scan.is_standard,
    )

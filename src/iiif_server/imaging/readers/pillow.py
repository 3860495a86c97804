"""WebP, GIF, BMP and AVIF: whatever Pillow decodes whole and tells all about."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from iiif_server.errors import IIIFServerError
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.imaging.colour import has_color
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import credit_of
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import MAX_SIDE, check_size, guarded_decoding
from iiif_server.imaging.metadata import exif_orientation, icc_profile, image_resolution
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.tasks import SourceLimits


class PillowSource(Source):
    """A file that Pillow reads under a name of its own for the format."""

    def __init__(self, file: BinaryIO, header: Header, name: str) -> None:
        super().__init__(file, header)
        self.name = name

    def open_image(self) -> Image.Image:
        """The source as a Pillow image, header read and nothing decoded; to be called under the guard."""
        self.file.seek(0)
        image = Image.open(self.file, formats=(self.name,))
        image.info.pop("xmp", None)  # Pillow would turn a TIFF by its XMP when it decodes
        return image

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert reduction == 1
        assert part is None
        image = self.open_image()
        image.load()
        return Decoded(image, icc_profile(image))

    def credit(self) -> Credit:
        """See :meth:`Source.credit`."""
        self.file.seek(0)
        try:
            with guarded_decoding(MAX_SIDE**2):
                return credit_of(Image.open(self.file, formats=(self.name,)))
        except IIIFServerError:
            return Credit()


def open_by_pillow(name: str, file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a header.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    with guarded_decoding(limits.max_pixels):
        file.seek(0)
        image = Image.open(file, formats=(name,))
        turn = exif_orientation(image.info.get("exif"))
        header = Header(Dimensions(*image.size), turn, has_color(image), resolution=image_resolution(image))
    check_size(header.stored, limits.max_pixels)
    return PillowSource(file, header, name)


def open_webp(file: BinaryIO, limits: SourceLimits) -> Source:
    """See :func:`open_by_pillow`; of an animation the first picture counts."""
    return open_by_pillow("WEBP", file, limits)


def open_gif(file: BinaryIO, limits: SourceLimits) -> Source:
    """See :func:`open_by_pillow`; of an animation the first picture counts."""
    return open_by_pillow("GIF", file, limits)


def open_bmp(file: BinaryIO, limits: SourceLimits) -> Source:
    """See :func:`open_by_pillow`."""
    return open_by_pillow("BMP", file, limits)


def open_avif(file: BinaryIO, limits: SourceLimits) -> Source:
    """See :func:`open_by_pillow`."""
    return open_by_pillow("AVIF", file, limits)

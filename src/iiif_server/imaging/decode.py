"""Decode a source to an upright sRGB level: the whole image, at full size or shrunk by a power of two."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, JpegImagePlugin

from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.colour import to_srgb
from iiif_server.imaging.limits import guarded_decoding
from iiif_server.imaging.source import Source
from iiif_server.imaging.steps import turned


def decode_level(source: Source, reduction: int, max_pixels: int) -> Image.Image:
    """Decode the first picture of a source, shrunk by the decoder; metadata has been applied and is gone.

    Args:
        source: an open source.
        reduction: one of the header's ``reductions``.
        max_pixels: the limit that the source was opened under.

    Raises:
        UnreadableSource: the decoder gave up, or decoded something else than its header said.
    """
    with guarded_decoding(max_pixels):
        image = source.open_image()
        if reduction > 1 and source.header.format == "JPEG2000":
            image = _load_reduced(source, image, reduction)
        elif reduction > 1:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            # Rounded down, since Pillow picks the scale by dividing the full size by this one.
            image.draft(None, (image.width // reduction, image.height // reduction))
        image.load()
        expected = level_size(source.header.stored, reduction)
        if image.size != expected:
            raise ValueError(f"decoded {image.size} where the header promises {expected}")
        return turned(_detached(to_srgb(image, source.profile(image))), source.header.turn)


def checked_jpeg(source: Source, max_pixels: int) -> bytes:
    """A JPEG source's data to be passed on as it is, once a decoder has agreed with its headers.

    Raises:
        UnreadableSource: it has not.
    """
    data = source.data()
    with guarded_decoding(max_pixels):
        Image.open(BytesIO(data), formats=("JPEG",))
    return data


def _load_reduced(source: Source, image: Image.Image, reduction: int) -> Image.Image:
    """A JPEG 2000 at a lower resolution."""
    try:
        image.reduce = reduction.bit_length() - 1  # type: ignore[method-assign, assignment]
        image.load()
    except OSError:
        # Stored with fewer resolutions than that, as a whole or in one tile.
        image = source.open_image()
        image.load()
        return image.copy().reduce(reduction)
    return image


def _detached(image: Image.Image) -> Image.Image:
    """A plain image that shares the pixels, and lets go of the file and the decoder."""
    if type(image) is Image.Image:
        return image
    return image._new(image.im)  # noqa: SLF001 - every public way copies the pixels

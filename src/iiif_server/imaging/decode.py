"""Decode a source to upright sRGB pixels: a level of it, or a part of a level."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from iiif_server.iiif.geometry import Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.colour import to_srgb
from iiif_server.imaging.limits import guarded_decoding
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.jpeg import JpegSource
from iiif_server.imaging.steps import turned
from iiif_server.imaging.stopwatch import Stopwatch


def decode_level(
    source: Source,
    reduction: int,
    part: Rectangle | None,
    max_pixels: int,
    watch: Stopwatch | None = None,
) -> Image.Image:
    """Decode a level of a source, or a part of it; metadata has been applied and is gone.

    Args:
        source: an open source.
        reduction: one of the header's ``reductions``.
        part: of the upright level, in its pixels; ``None`` is all of it.
        max_pixels: the limit that the source was opened under.
        watch: is told how long decoding and converting took.

    Raises:
        UnreadableSource: the decoder gave up, or decoded something else than its header said.
        SourceTooLarge: more than the limit would have to be decoded.
    """
    header = source.header
    level = level_size(header.stored, reduction)
    stored = None if part is None else header.turn.inverse().rectangle(part, header.turn.size(level))
    expected = level if stored is None else stored.size
    watch = watch or Stopwatch()
    with guarded_decoding(max_pixels):
        with watch.step("decode"):
            image, profile = source.decode(reduction, stored)
        if image.size != expected:
            raise ValueError(f"decoded {image.size} where the header promises {expected}")
        with watch.step("convert"):
            return turned(_detached(to_srgb(image, profile)), header.turn)


def checked_jpeg(source: JpegSource, max_pixels: int) -> bytes:
    """A JPEG source's data to be passed on as it is, once a decoder has agreed with its headers.

    Raises:
        UnreadableSource: it has not.
    """
    data = source.data()
    with guarded_decoding(max_pixels):
        Image.open(BytesIO(data), formats=("JPEG",))
    return data


def _detached(image: Image.Image) -> Image.Image:
    """A plain image that shares the pixels, and lets go of the file and the decoder."""
    if type(image) is Image.Image:
        return image
    return image._new(image.im)  # noqa: SLF001 - every public way copies the pixels

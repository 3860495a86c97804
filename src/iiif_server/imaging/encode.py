"""Encode the finished pixels. Nothing but pixels goes in: no profile, no EXIF, no comment, no time."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.steps import flattened, in_quality
from iiif_server.imaging.tasks import RenderSettings

_JPEG_MAX_SIDE = 65_500


def encoded(image: Image.Image, quality: Quality, target: Format, settings: RenderSettings) -> bytes:
    """Bring an image into a quality and a format.

    Args:
        image: L, LA, RGB or RGBA.
        quality: as asked for.
        target: the format to write.
        settings: what the operator configured.

    Raises:
        InvalidRequest: the format can't hold a result of this size.
    """
    if target is Format.JPG or quality is Quality.BITONAL:
        image = flattened(image, settings.background)
    image = in_quality(image, quality)
    match target:
        case Format.JPG:
            return _jpeg(image, settings)
        case Format.PNG:
            if quality is Quality.BITONAL:
                image = image.convert("1", dither=Image.Dither.NONE)
            return _png(image, settings)


def _jpeg(image: Image.Image, settings: RenderSettings) -> bytes:
    if max(image.size) > _JPEG_MAX_SIDE:
        raise InvalidRequest(f"A JPEG file can't be more than {_JPEG_MAX_SIDE} pixels wide or high.")
    out = BytesIO()
    image.save(
        out,
        "JPEG",
        quality=settings.jpeg_quality,
        subsampling=settings.jpeg_subsampling,
    )
    return out.getvalue()


def _png(image: Image.Image, settings: RenderSettings) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", compress_level=settings.png_compression)
    return out.getvalue()

"""Encode the finished pixels. Nothing but pixels goes in: no profile, no EXIF, no comment, no time.

One function for each format; all give the same bytes for the same pixels and settings.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image, features

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.steps import flattened, in_quality
from iiif_server.imaging.tasks import RenderSettings

_OPAQUE = frozenset({Format.JPG, Format.PDF})
_MAX_SIDE = {
    Format.JPG: 65_500,
    Format.PDF: 65_500,
    Format.WEBP: 16_383,
    Format.GIF: 65_535,
    Format.AVIF: 65_535,
}
_CODECS = {Format.WEBP: "webp", Format.TIF: "libtiff", Format.AVIF: "avif", Format.JP2: "jpg_2000"}
_JP2_RATE = 12
"""How many times smaller a JPEG 2000 file is than its pixels."""
_JP2_RESOLUTIONS = 6
_AVIF_SPEED = 8
"""From 0, slowest and smallest, to 10; slower ones take seconds for a screenful."""


def available_formats() -> list[Format]:
    """The formats that the installed codecs write."""
    return [item for item in Format if item not in _CODECS or features.check(_CODECS[item])]


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
    limit = _MAX_SIDE.get(target)
    if limit is not None and max(image.size) > limit:
        raise InvalidRequest(f"The format {str(target)!r} holds {limit} pixels of width and height at most.")
    if target in _OPAQUE or quality is Quality.BITONAL:
        image = flattened(image, settings.background)
    image = in_quality(image, quality)
    if quality is Quality.BITONAL and target in {Format.PNG, Format.TIF}:
        image = image.convert("1", dither=Image.Dither.NONE)
    return _WRITERS[target](image, settings)


def _jpeg(image: Image.Image, settings: RenderSettings) -> bytes:
    return _saved(image, "JPEG", quality=settings.jpeg_quality, subsampling=settings.jpeg_subsampling)


def _png(image: Image.Image, settings: RenderSettings) -> bytes:
    return _saved(image, "PNG", compress_level=settings.png_compression)


def _webp(image: Image.Image, settings: RenderSettings) -> bytes:
    return _saved(image, "WEBP", quality=settings.webp_quality)


def _tiff(image: Image.Image, _: RenderSettings) -> bytes:
    return _saved(image, "TIFF", compression="group4" if image.mode == "1" else "tiff_adobe_deflate")


def _gif(image: Image.Image, _: RenderSettings) -> bytes:
    return _saved(image.convert("RGBA") if image.mode == "LA" else image, "GIF")


def _avif(image: Image.Image, settings: RenderSettings) -> bytes:
    # The encoder's threads split the image, and so its bytes, by their number.
    return _saved(image, "AVIF", quality=settings.avif_quality, speed=_AVIF_SPEED, max_threads=1)


def _jp2(image: Image.Image, _: RenderSettings) -> bytes:
    resolutions = max(1, min(_JP2_RESOLUTIONS, min(image.size).bit_length()))
    options = {"quality_mode": "rates", "quality_layers": [_JP2_RATE], "irreversible": True}
    return _saved(image, "JPEG2000", num_resolutions=resolutions, **options)


def _pdf(image: Image.Image, settings: RenderSettings) -> bytes:
    # Pillow would write the present time into it.
    return _saved(image, "PDF", quality=settings.jpeg_quality, creationDate=None, modDate=None)


_WRITERS: dict[Format, Callable[[Image.Image, RenderSettings], bytes]] = {
    Format.JPG: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.TIF: _tiff,
    Format.GIF: _gif,
    Format.AVIF: _avif,
    Format.JP2: _jp2,
    Format.PDF: _pdf,
}


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, name, **options)
    return out.getvalue()

"""Encode the finished pixels. Nothing goes in besides but the credit that is asked for: no profile, no time.

One function for each format; all give the same bytes for the same pixels and settings. The pixels are sRGB,
which is what readers take a file without a profile for; AVIF says so itself (nclx), as Pillow writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image, features

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.credit.model import NO_CREDIT, Credit
from iiif_server.imaging.credit.write import credit_options, with_credit
from iiif_server.imaging.steps import flattened, in_quality
from iiif_server.imaging.tasks import RenderSettings

Extra = dict[str, Any]
"""More options for Pillow's ``save``."""

_OPAQUE = frozenset({Format.JPG, Format.PDF})
_MAX_SIDE = {
    Format.JPG: 65_500,
    Format.PDF: 65_500,
    Format.WEBP: 16_383,
    Format.GIF: 65_535,
    Format.AVIF: 65_535,
}
_CODECS = {Format.WEBP: "webp", Format.TIF: "libtiff", Format.AVIF: "avif", Format.JP2: "jpg_2000"}
_JP2_LOSSLESS = 100
_JP2_DECIBELS = (20, 0.25)
"""The peak signal-to-noise ratio of JPEG 2000: this, and so much more for each point of quality.

Not a ratio of bytes, which would give a tile of sky and one of leaves the same, and so show where they meet.
"""
_JP2_RESOLUTIONS = 6
_AVIF_FASTEST = 9
"""The encoder's speed at no effort; 10 makes the same files."""
_TIFF_COMPRESSION = {"deflate": "tiff_adobe_deflate", "lzw": "tiff_lzw", "none": "raw"}
_TIFF_PREDICTOR, _HORIZONTAL = 317, 2


def available_formats() -> list[Format]:
    """The formats that the installed codecs write."""
    return [item for item in Format if item not in _CODECS or features.check(_CODECS[item])]


def encoded(
    image: Image.Image, quality: Quality, target: Format, settings: RenderSettings, credit: Credit = NO_CREDIT
) -> bytes:
    """Bring an image into a quality and a format.

    Args:
        image: L, LA, RGB or RGBA.
        quality: as asked for.
        target: the format to write.
        settings: what the operator configured.
        credit: rights and credit to go with it; empty for none.

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
    data = _WRITERS[target](_bare(image), settings, credit_options(credit, target))
    return with_credit(data, credit, target)


def _jpeg(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    return _saved(
        image,
        "JPEG",
        quality=settings.jpeg_quality,
        subsampling=settings.jpeg_subsampling,
        progressive=settings.jpeg_progressive,
        **extra,
    )


def _png(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    return _saved(image, "PNG", compress_level=settings.png_compression, **extra)


def _webp(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    return _saved(image, "WEBP", quality=settings.webp_quality, method=settings.webp_effort, **extra)


def _tiff(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    if image.mode == "1":
        return _saved(image, "TIFF", compression="group4", **extra)
    compression = _TIFF_COMPRESSION[settings.tif_compression]
    tags = dict(extra.get("tiffinfo", {}))
    if compression != "raw":
        tags[_TIFF_PREDICTOR] = _HORIZONTAL
    return _saved(image, "TIFF", compression=compression, tiffinfo=tags)


def _gif(image: Image.Image, _: RenderSettings, extra: Extra) -> bytes:
    return _saved(image.convert("RGBA") if image.mode == "LA" else image, "GIF", **extra)


def _avif(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    speed = _AVIF_FASTEST - settings.avif_effort
    # The encoder's threads split the image, and so its bytes, by their number.
    return _saved(image, "AVIF", quality=settings.avif_quality, speed=speed, max_threads=1, **extra)


def _jp2(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    resolutions = max(1, min(_JP2_RESOLUTIONS, min(image.size).bit_length()))
    if settings.jp2_quality == _JP2_LOSSLESS:
        return _saved(image, "JPEG2000", num_resolutions=resolutions, irreversible=False, **extra)
    least, step = _JP2_DECIBELS
    options = {"quality_mode": "dB", "quality_layers": [least + step * settings.jp2_quality]}
    return _saved(image, "JPEG2000", num_resolutions=resolutions, irreversible=True, **options, **extra)


def _pdf(image: Image.Image, settings: RenderSettings, extra: Extra) -> bytes:
    return _saved(
        image,
        "PDF",
        quality=settings.jpeg_quality,
        subsampling=settings.jpeg_subsampling,
        progressive=settings.jpeg_progressive,
        creationDate=None,  # Pillow would write the present time
        modDate=None,
        **extra,
    )


_WRITERS: dict[Format, Callable[[Image.Image, RenderSettings, Extra], bytes]] = {
    Format.JPG: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.TIF: _tiff,
    Format.GIF: _gif,
    Format.AVIF: _avif,
    Format.JP2: _jp2,
    Format.PDF: _pdf,
}


def _bare(image: Image.Image) -> Image.Image:
    """The pixels alone: Pillow's writers pass on what a decoder left beside them."""
    if image.info:
        image = image.copy()
        image.info = {}
    return image


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, name, **options)
    return out.getvalue()

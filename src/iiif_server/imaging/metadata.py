"""What a source's metadata says of its pixels: orientation, colour profile, resolution. Never fatal."""

from __future__ import annotations

from PIL import ExifTags, Image

from iiif_server.imaging.orientation import Symmetry, from_exif

PER_INCH, PER_CENTIMETRE, PER_METRE = 1.0, 2.54, 0.0254
"""What a number of pixels per unit is multiplied by to be one per inch."""

_EXIF_SIGNATURE = b"Exif\0\0"
_EXIF_CENTIMETRE = 3
_SAME = 0.01


def exif_orientation(payload: object) -> Symmetry:
    """What sets an image with this EXIF block upright; a damaged block counts as none.

    Only EXIF is asked, as browsers and libvips do; Pillow's own transposing also believes XMP.
    """
    return from_exif(_exif_values(payload, ExifTags.Base.Orientation)[0])


def exif_resolution(payload: object) -> float | None:
    """The resolution that an EXIF block states, in pixels per inch."""
    tags = (ExifTags.Base.XResolution, ExifTags.Base.YResolution, ExifTags.Base.ResolutionUnit)
    x, y, unit = _exif_values(payload, *tags)
    return resolution(x, y, PER_CENTIMETRE if unit == _EXIF_CENTIMETRE else PER_INCH)


def resolution(x: object, y: object, unit: float | None) -> float | None:
    """Pixels per inch, if both directions agree; 1 is what files say that know nothing.

    Args:
        x: pixels per unit, horizontally.
        y: the same, vertically.
        unit: one of :data:`PER_INCH`, :data:`PER_CENTIMETRE`, :data:`PER_METRE`; ``None`` is an unknown one.
    """
    try:
        across, down = float(x), float(y)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if unit is None or not 1 < across < 1e7 or abs(across - down) > _SAME * across:
        return None
    return across * unit


def icc_profile(image: Image.Image) -> bytes | None:
    """The image's embedded colour profile, if it has one."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def image_resolution(image: Image.Image) -> float | None:
    """What Pillow found of an opened image's resolution, in pixels per inch."""
    stated = image.info.get("dpi")
    if isinstance(stated, tuple) and len(stated) == 2:
        return resolution(*stated, PER_INCH)
    return exif_resolution(image.info.get("exif"))


def _exif_values(payload: object, *tags: int) -> list[object]:
    """The values of some tags, ``None`` for each that is missing or lies in a damaged block."""
    if not isinstance(payload, bytes) or not payload:
        return [None] * len(tags)
    exif = Image.Exif()
    try:
        exif.load(payload if payload.startswith(_EXIF_SIGNATURE) else _EXIF_SIGNATURE + payload)
        return [exif.get(tag) for tag in tags]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything, and counts as absent
        return [None] * len(tags)

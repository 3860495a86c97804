"""The two facts of a source's metadata that change pixels: orientation and colour profile. Never fatal."""

from __future__ import annotations

from PIL import ExifTags, Image

from iiif_server.imaging.orientation import IDENTITY, Symmetry, from_exif

_EXIF_SIGNATURE = b"Exif\0\0"


def exif_orientation(payload: object) -> Symmetry:
    """What sets an image with this EXIF block upright; a damaged block counts as none.

    Only EXIF is asked, as browsers and libvips do; Pillow's own transposing also believes XMP.
    """
    if not isinstance(payload, bytes) or not payload:
        return IDENTITY
    exif = Image.Exif()
    try:
        exif.load(payload if payload.startswith(_EXIF_SIGNATURE) else _EXIF_SIGNATURE + payload)
        return from_exif(exif.get(ExifTags.Base.Orientation))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything, and counts as absent
        return IDENTITY


def icc_profile(image: Image.Image) -> bytes | None:
    """The image's embedded colour profile, if it has one."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None

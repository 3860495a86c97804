"""Every format that is read, and how its files are recognised: facts, without a codec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

START: Final = 64
"""The first bytes of a file that it takes to recognise it."""

_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """A format that is read, if its codec is installed.

    Attributes:
        name: of the format.
        media_type: of its files.
        suffixes: that its files usually have, without the dot; what counts are the bytes.
        recognises: tells a file by its first :data:`START` bytes.
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]


def recognise_source(start: bytes) -> SourceFormat | None:
    """The format of a file that begins with these bytes; ``None`` if it is none that is read.

    Args:
        start: the first 64 bytes, or the whole of a shorter file. Whether the rest of it is sound is found
            out by who opens it.
    """
    return next((known for known in SOURCE_FORMATS if known.recognises(start[:START])), None)


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda start: start.startswith(magic)


def _is_webp(start: bytes) -> bool:
    return start.startswith(b"RIFF") and start[8:12] == b"WEBP"


def _is_avif(start: bytes) -> bool:
    return not _AVIF_BRANDS.isdisjoint(_brands(start))


def _is_heif(start: bytes) -> bool:
    return not _HEVC_BRANDS.isdisjoint(_brands(start))


def _brands(start: bytes) -> Iterator[bytes]:
    """The brands of an ISO base media file (ISO/IEC 14496-12 section 4.3)."""
    if start[4:8] == b"ftyp":
        yield start[8:12]
        for at in range(16, min(int.from_bytes(start[:4]), len(start)) - 3, 4):
            yield start[at : at + 4]


JPEG: Final = SourceFormat("JPEG", "image/jpeg", ("jpg", "jpeg", "jpe", "mpo"), _starts(b"\xff\xd8\xff"))
PNG: Final = SourceFormat("PNG", "image/png", ("png",), _starts(b"\x89PNG\r\n\x1a\n"))
TIFF: Final = SourceFormat(
    "TIFF",
    "image/tiff",
    ("tif", "tiff", "ptif", "btf", "svs"),
    _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)
JPEG_2000: Final = SourceFormat(
    "JPEG 2000",
    "image/jp2",
    ("jp2", "j2k", "jpx", "j2c", "jpf"),
    _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
)
WEBP: Final = SourceFormat("WebP", "image/webp", ("webp",), _is_webp)
GIF: Final = SourceFormat("GIF", "image/gif", ("gif",), _starts(b"GIF87a", b"GIF89a"))
BMP: Final = SourceFormat("BMP", "image/bmp", ("bmp",), _starts(b"BM"))
AVIF: Final = SourceFormat("AVIF", "image/avif", ("avif",), _is_avif)
HEIC: Final = SourceFormat("HEIC", "image/heic", ("heic", "heif", "hif"), _is_heif)

SOURCE_FORMATS: Final = (JPEG, PNG, TIFF, JPEG_2000, WEBP, GIF, BMP, AVIF, HEIC)
"""In the order in which they are tried."""

"""Every format that is read: how its files are recognised, and what opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import BinaryIO

from PIL import features

from iiif_server.errors import ImageNotFound, UnreadableSource
from iiif_server.imaging.readers import jpeg, jpeg2000, pillow, png
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.files import open_regular
from iiif_server.imaging.tasks import SourceFile, SourceLimits

_START = 64
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


@dataclass(frozen=True, slots=True)
class Reader:
    """A format that is read.

    Attributes:
        name: of the format.
        media_type: of its files.
        suffixes: that its files usually have; what counts are the bytes.
        recognises: tells a file by its first 64 bytes.
        open: reads the header of a file under limits; a page counts from 1.
        libraries: what decodes its files.
        has_pages: whether other pages than the first can be opened.
        available: tells whether the codec is installed.
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    open: Callable[[BinaryIO, SourceLimits, int], Source]
    libraries: tuple[str, ...]
    has_pages: bool = False
    available: Callable[[], bool] = lambda: True


def open_source(file: SourceFile, limits: SourceLimits) -> tuple[Reader, Source]:
    """Open a regular file by the reader that its first bytes ask for.

    Raises:
        ImageNotFound: there is no such regular file or page, or it may not be read.
        UnreadableSource: it is empty, damaged or of a format that is not served.
        SourceTooLarge: it is beyond the limits.
    """
    stream = open_regular(file.path, limits.max_bytes)
    try:
        reader = _identify(stream.read(_START))
        if file.page > 1 and not reader.has_pages:
            raise ImageNotFound("The source image has no such page.", log=f"{reader.name} has one page")
        return reader, reader.open(stream, limits, file.page)
    except BaseException:
        stream.close()
        raise


def _identify(start: bytes) -> Reader:
    for reader in READERS:
        if reader.recognises(start):
            if reader.available():
                return reader
            raise UnreadableSource(f"This server can't read {reader.name} files: its codec is missing.")
    raise UnreadableSource("The source file is not an image of a format that this server reads.")


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


def _one(
    opener: Callable[[BinaryIO, SourceLimits], Source],
) -> Callable[[BinaryIO, SourceLimits, int], Source]:
    """For a format whose files have one page."""
    return lambda file, limits, _page: opener(file, limits)


def _has(codec: str) -> Callable[[], bool]:
    return lambda: bool(features.check(codec))


def _open_tiff(file: BinaryIO, limits: SourceLimits, page: int) -> Source:
    # With numpy this is a third of a second: workers that meet no TIFF do without.
    source: Source = import_module("iiif_server.imaging.readers.tiff.reader").open_tiff(file, limits, page)
    return source


def _open_heif(file: BinaryIO, limits: SourceLimits) -> Source:
    source: Source = import_module("iiif_server.imaging.readers.heif").open_heif(file, limits)
    return source


READERS = (
    Reader(
        "JPEG",
        "image/jpeg",
        ("jpg", "jpeg", "jpe", "mpo"),
        _starts(b"\xff\xd8\xff"),
        _one(jpeg.open_jpeg),
        ("libjpeg-turbo",),
    ),
    Reader(
        "PNG",
        "image/png",
        ("png",),
        _starts(b"\x89PNG\r\n\x1a\n"),
        _one(png.open_png),
        ("Pillow", "zlib"),
    ),
    Reader(
        "TIFF",
        "image/tiff",
        ("tif", "tiff", "ptif", "btf", "svs"),
        _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        _open_tiff,
        ("tifffile", "imagecodecs", "libtiff"),
        has_pages=True,
    ),
    Reader(
        "JPEG 2000",
        "image/jp2",
        ("jp2", "j2k", "jpx", "j2c", "jpf"),
        _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        _one(jpeg2000.open_jpeg2000),
        ("OpenJPEG", "imagecodecs"),
        available=_has("jpg_2000"),
    ),
    Reader(
        "WebP",
        "image/webp",
        ("webp",),
        _is_webp,
        _one(pillow.open_webp),
        ("libwebp",),
        available=_has("webp"),
    ),
    Reader(
        "GIF",
        "image/gif",
        ("gif",),
        _starts(b"GIF87a", b"GIF89a"),
        _one(pillow.open_gif),
        ("Pillow",),
    ),
    Reader("BMP", "image/bmp", ("bmp",), _starts(b"BM"), _one(pillow.open_bmp), ("Pillow",)),
    Reader(
        "AVIF",
        "image/avif",
        ("avif",),
        _is_avif,
        _one(pillow.open_avif),
        ("libavif",),
        available=_has("avif"),
    ),
    Reader(
        "HEIC",
        "image/heic",
        ("heic", "heif", "hif"),
        _is_heif,
        _one(_open_heif),
        ("pillow-heif",),
        available=lambda: find_spec("pillow_heif") is not None,
    ),
)
"""In the order in which they are asked."""

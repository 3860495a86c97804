"""What opens the files of every format that is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import BinaryIO

from PIL import features

from iiif_server.errors import ImageNotFound, UnreadableSource
from iiif_server.imaging.readers import jpeg, jpeg2000, pillow, png
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.files import open_regular
from iiif_server.imaging.source_formats import (
    AVIF,
    BMP,
    GIF,
    HEIC,
    JPEG,
    JPEG_2000,
    PNG,
    START,
    TIFF,
    WEBP,
    SourceFormat,
    recognise_source,
)
from iiif_server.imaging.tasks import SourceFile, SourceLimits


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a format.

    Attributes:
        format: that it reads.
        open: reads the header of a file under limits; a page counts from 1.
        libraries: what decodes its files.
        has_pages: whether other pages than the first can be opened.
        available: tells whether the codec is installed.
    """

    format: SourceFormat
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
        reader = _identify(stream.read(START))
        if file.page > 1 and not reader.has_pages:
            raise ImageNotFound(
                "The source image has no such page.", log=f"{reader.format.name} has one page"
            )
        return reader, reader.open(stream, limits, file.page)
    except BaseException:
        stream.close()
        raise


def _identify(start: bytes) -> Reader:
    found = recognise_source(start)
    if found is None:
        raise UnreadableSource("The source file is not an image of a format that this server reads.")
    reader = next(reader for reader in READERS if reader.format is found)
    if not reader.available():
        raise UnreadableSource(f"This server can't read {found.name} files: its codec is missing.")
    return reader


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
    Reader(JPEG, _one(jpeg.open_jpeg), ("libjpeg-turbo",)),
    Reader(PNG, _one(png.open_png), ("imagecodecs", "Pillow", "zlib")),
    Reader(TIFF, _open_tiff, ("tifffile", "imagecodecs", "libtiff"), has_pages=True),
    Reader(JPEG_2000, _one(jpeg2000.open_jpeg2000), ("OpenJPEG", "imagecodecs"), available=_has("jpg_2000")),
    Reader(WEBP, _one(pillow.open_webp), ("libwebp",), available=_has("webp")),
    Reader(GIF, _one(pillow.open_gif), ("Pillow",)),
    Reader(BMP, _one(pillow.open_bmp), ("Pillow",)),
    Reader(AVIF, _one(pillow.open_avif), ("libavif",), available=_has("avif")),
    Reader(HEIC, _one(_open_heif), ("pillow-heif",), available=lambda: find_spec("pillow_heif") is not None),
)
"""One for each of :data:`SOURCE_FORMATS`."""

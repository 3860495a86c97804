"""Open a source file safely, and read from its header all that planning needs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from iiif_server.errors import ImageNotFound, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging import jpeg, png
from iiif_server.imaging.colour import is_srgb
from iiif_server.imaging.limits import check_size, guarded_decoding
from iiif_server.imaging.metadata import exif_orientation, icc_profile
from iiif_server.imaging.orientation import Symmetry, from_exif
from iiif_server.imaging.tasks import SourceLimits, SourceProperties

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "JPEG2000": "image/jp2",
    "AVIF": "image/avif",
}
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (png.SIGNATURE, "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"BM", "BMP"),
)
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_COLUMNS, _ROWS, _ORIENTATION = 256, 257, 274
_PNG_BYTES_PER_PIXEL, _PNG_BYTES_BESIDES = 9, 16 << 20
_JPEG_REDUCTIONS = (1, 2, 4, 8)
_JPEG2000_REDUCTIONS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class JpegFacts:
    """What decides whether a JPEG's data can be passed on without decoding.

    Attributes:
        mcu: the grid on which its blocks can be moved, in stored pixels.
        gray: whether it has one component only.
        portable: whether its data means the same without its metadata: 8-bit Huffman-coded gray or YCbCr, in
            sRGB or without a profile.
        croppable: whether its sampling is one that lossless transforms support.
    """

    mcu: Dimensions
    gray: bool
    portable: bool
    croppable: bool


@dataclass(frozen=True, slots=True)
class Header:
    """What a source's header says; all that planning looks at.

    Attributes:
        format: Pillow's name of the format, found from the bytes.
        stored: the size that decoding gives.
        turn: what sets the decoded image upright.
        has_color: whether gray is less than what there is.
        reductions: the factors by which the decoder can shrink while it decodes, ascending.
        jpeg: more about a JPEG.
    """

    format: str
    stored: Dimensions
    turn: Symmetry
    has_color: bool
    reductions: tuple[int, ...] = (1,)
    jpeg: JpegFacts | None = None

    @property
    def size(self) -> Dimensions:
        """The upright image's size."""
        return self.turn.size(self.stored)

    def properties(self) -> SourceProperties:
        """What is told of the source outside of the workers."""
        return SourceProperties(*self.size, _MEDIA_TYPES[self.format], self.has_color)


@dataclass(slots=True)
class Source:
    """An open source file and its header."""

    file: BinaryIO
    header: Header
    layout: jpeg.JpegLayout | png.PngLayout | None = None

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return os.fstat(self.file.fileno()).st_size

    def data(self) -> bytes:
        """A JPEG or PNG source's image data without its metadata."""
        assert self.layout is not None
        return self.layout.assemble(self.file)

    def open_image(self) -> Image.Image:
        """The source as a Pillow image, header read and nothing decoded; to be called under the guard."""
        self.file.seek(0)
        stream = self.file if self.layout is None else BytesIO(self.data())
        image = Image.open(stream, formats=(self.header.format,))
        image.info.pop("xmp", None)  # Pillow would turn a TIFF by its XMP when it decodes
        return image

    def profile(self, image: Image.Image) -> bytes | None:
        """The embedded colour profile of this image that was opened here."""
        return icc_profile(image) if self.layout is None else self.layout.icc

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_source(path: str, limits: SourceLimits) -> Source:
    """Open a regular file and read its header.

    Raises:
        ImageNotFound: there is no such regular file, or it may not be read.
        UnreadableSource: it is empty, damaged or of a format that is not served.
        SourceTooLarge: it is beyond the limits.
    """
    file = _open_regular(path, limits.max_bytes)
    try:
        name = _identify(file.read(64))
        if name == "JPEG":
            return _jpeg_source(file, limits)
        if name == "PNG":
            return _png_source(file, limits)
        return _pillow_source(file, name, limits)
    except BaseException:
        file.close()
        raise


def _open_regular(path: str, max_bytes: int) -> BinaryIO:
    # No symlink in the last place, no waiting for a pipe's writer, no descriptor for child processes.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}:
            raise UnreadableSource("The source can't be read at the moment.", log=str(error)) from error
        raise ImageNotFound("There is no such image.", log=str(error)) from error
    except ValueError as error:
        raise ImageNotFound("There is no such image.", log=f"{path!r}: {error}") from error
    try:
        _check_status(path, os.fstat(descriptor), max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_status(path: str, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageNotFound("There is no such image.", log=f"{path!r} is not a regular file")
    if not status.st_size:
        raise UnreadableSource("The source image is an empty file.")
    if status.st_size > max_bytes:
        raise SourceTooLarge("The source file has more bytes than this server reads.")


def _identify(start: bytes) -> str:
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return name
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp" and {b"avif", b"avis"} & set(_brands(start)):
        return "AVIF"
    raise UnreadableSource("The source file is not an image of a format that this server reads.")


def _brands(start: bytes) -> Iterator[bytes]:
    end = min(int.from_bytes(start[:4]), len(start))
    yield start[8:12]
    for at in range(16, end - 3, 4):
        yield start[at : at + 4]


def _jpeg_source(file: BinaryIO, limits: SourceLimits) -> Source:
    layout = jpeg.read_layout(file, max_pixels=limits.max_pixels, max_scans=limits.max_jpeg_scans)
    frame = layout.frame
    check_size(frame.size, limits.max_pixels)
    gray = len(frame.components) == 1
    sampling = [(part.horizontal, part.vertical) for part in frame.components]
    facts = JpegFacts(
        mcu=frame.mcu,
        gray=gray,
        portable=(
            frame.kind in {0xC0, 0xC1, 0xC2}
            and (gray or layout.is_ycc)
            and is_srgb(layout.icc, "L" if gray else "RGB")
        ),
        croppable=(
            set(sampling[1:]) <= {(1, 1)}
            and sampling[0] in ({(1, 1)} if gray else {(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)})
        ),
    )
    turn = exif_orientation(layout.exif)
    return Source(file, Header("JPEG", frame.size, turn, not gray, _JPEG_REDUCTIONS, facts), layout)


def _png_source(file: BinaryIO, limits: SourceLimits) -> Source:
    layout = png.read_layout(file)
    with guarded_decoding(limits.max_pixels):
        image = Image.open(BytesIO(layout.assemble_head(file)), formats=("PNG",))
        header = Header("PNG", Dimensions(*image.size), exif_orientation(layout.exif), _has_color(image))
    check_size(header.stored, limits.max_pixels)
    if layout.size > _PNG_BYTES_BESIDES + _PNG_BYTES_PER_PIXEL * header.stored.width * header.stored.height:
        raise UnreadableSource("The source image is a damaged PNG file: more data than its pixels need.")
    return Source(file, header, layout)


def _pillow_source(file: BinaryIO, name: str, limits: SourceLimits) -> Source:
    with guarded_decoding(limits.max_pixels):
        file.seek(0)
        image = Image.open(file, formats=(name,))
        stored = Dimensions(*image.size)
        turn = exif_orientation(image.info.get("exif"))
        if name == "TIFF":
            stored, turn = _upright_tiff(image)
        has_color = _has_color(image)
    check_size(stored, limits.max_pixels)
    reductions = _jpeg2000_reductions(stored) if name == "JPEG2000" else (1,)
    return Source(file, Header(name, stored, turn, has_color, reductions))


def _upright_tiff(image: Image.Image) -> tuple[Dimensions, Symmetry]:
    """Pillow sets a TIFF upright itself as it decodes; its header's size is as stored in older versions."""
    tags = getattr(image, "tag_v2", {})
    stored = Dimensions(int(tags[_COLUMNS]), int(tags[_ROWS]))
    return from_exif(tags.get(_ORIENTATION)).size(stored), Symmetry()


def _jpeg2000_reductions(stored: Dimensions) -> tuple[int, ...]:
    """The reductions at which Pillow, which rounds to nearest, agrees with the codec, which rounds up."""
    return tuple(
        factor
        for factor in _JPEG2000_REDUCTIONS
        if all((side + factor // 2) // factor == -(-side // factor) for side in stored)
        and min(level_size(stored, factor)) > 1
    ) or (1,)


def _has_color(image: Image.Image) -> bool:
    if image.mode in _GRAY_MODES or image.mode.startswith("I;16"):
        return False
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGB":
        red, green, blue = (bytes(image.palette.palette[band::3]) for band in range(3))
        return not red == green == blue
    return True

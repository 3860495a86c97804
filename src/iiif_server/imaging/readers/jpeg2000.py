"""JPEG 2000: decoded by OpenJPEG through Pillow, at a lower resolution where the file stores one.

What Pillow has no mode for, CIELab, is decoded by imagecodecs and handed on as Lab.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.colour import has_color
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import jp2_blocks, read_credit
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import check_size, guarded_decoding
from iiif_server.imaging.metadata import icc_profile, image_resolution
from iiif_server.imaging.orientation import IDENTITY
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.readers.pillow import PillowSource
from iiif_server.imaging.tasks import SourceLimits

_REDUCTIONS = (1, 2, 4, 8, 16, 32)
_ENUMERATED, _CIELAB = 1, 14
_LAB_RANGES = (100, 0, 170, 128, 200, 96)
"""Range and offset of L*, a* and b* at 8 bits, where the file states none (ISO/IEC 15444-2, M.11.7.4.1)."""
_MAX_BOXES = 1000


class Jpeg2000Source(PillowSource):
    """A JP2 file or a bare codestream."""

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert part is None
        image = self.open_image()
        if reduction == 1:
            image.load()
            return Decoded(image, icc_profile(image))
        try:
            image.reduce = reduction.bit_length() - 1  # type: ignore[method-assign, assignment]
            image.load()
        except OSError:
            # Stored with fewer resolutions than that, as a whole or in one tile.
            image = self.open_image()
            image.load()
            return Decoded(image.copy().reduce(reduction), icc_profile(image))
        return Decoded(image, icc_profile(image))


class LabSource(Source):
    """A JP2 file in the enumerated colour space CIELab."""

    def __init__(self, file: BinaryIO, header: Header, ranges: tuple[int, ...]) -> None:
        super().__init__(file, header)
        self._ranges = ranges

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        import imagecodecs
        import numpy as np

        assert reduction == 1
        assert part is None
        self.file.seek(0)
        samples = imagecodecs.jpeg2k_decode(self.file.read(), numthreads=1)
        if samples.dtype != np.uint8 or samples.shape[2:] != (3,):
            raise ValueError(f"no 8-bit Lab: {samples.dtype} {samples.shape}")
        extents = np.array(self._ranges[::2], np.float32)
        offsets = np.array(self._ranges[1::2], np.float32)
        lab = (samples - offsets) * (extents / 255)
        # As Pillow takes it: L* from 0 to 255, a* and b* as signed bytes.
        lab[..., 0] *= 255 / 100
        limits = np.array([[0, -128, -128], [255, 127, 127]], np.float32)
        packed = np.clip(np.rint(lab), *limits).astype(np.int16).astype(np.uint8)
        return Decoded(Image.frombytes("LAB", packed.shape[1::-1], packed.tobytes()), None)

    def credit(self) -> Credit:
        """See :meth:`Source.credit`."""
        return read_credit(*jp2_blocks(self.file))


def open_jpeg2000(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a header.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    with guarded_decoding(limits.max_pixels):
        file.seek(0)
        image = Image.open(file, formats=("JPEG2000",))
        stored = Dimensions(*image.size)
        coloured, dots = has_color(image), image_resolution(image)
    check_size(stored, limits.max_pixels)
    if (ranges := _lab_ranges(file)) is not None:
        return LabSource(file, Header(stored, IDENTITY, has_color=True), ranges)
    header = Header(stored, IDENTITY, coloured, _reductions(stored), resolution=dots)
    return Jpeg2000Source(file, header, "JPEG2000")


def _reductions(stored: Dimensions) -> tuple[int, ...]:
    """The reductions at which Pillow, which rounds to nearest, agrees with the codec, which rounds up."""
    return tuple(
        factor
        for factor in _REDUCTIONS
        if all((side + factor // 2) // factor == -(-side // factor) for side in stored)
        and min(level_size(stored, factor)) > 1
    ) or (1,)


def _lab_ranges(file: BinaryIO) -> tuple[int, ...] | None:
    """Range and offset of each channel if the first colour specification is CIELab, else ``None``."""
    for kind, start, end in _boxes(file, 0, None):
        if kind == b"jp2h":
            for inner, inner_start, inner_end in _boxes(file, start, end):
                if inner == b"colr":
                    file.seek(inner_start)
                    return _parse_colour(file.read(min(inner_end - inner_start, 64)))
    return None


def _parse_colour(box: bytes) -> tuple[int, ...] | None:
    if box[:1] != bytes([_ENUMERATED]) or int.from_bytes(box[3:7]) != _CIELAB:
        return None
    stated = tuple(int.from_bytes(box[at : at + 4]) for at in range(7, 31, 4))
    return stated if len(box) >= 31 and all(stated[::2]) else _LAB_RANGES


def _boxes(file: BinaryIO, start: int, end: int | None) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of the boxes in a range of the file (ISO/IEC 15444-1, I.4)."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or (end is not None and start >= end):
            return
        length, kind, body = int.from_bytes(head[:4]), head[4:8], start + 8
        if length == 1:
            length, body = int.from_bytes(head[8:16]), start + 16
        if length < body - start:
            return  # to the end of the file, which is the codestream, or nonsense
        yield kind, body, start + length
        start += length

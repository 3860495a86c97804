"""JPEG 2000: decoded by OpenJPEG through Pillow, at a lower resolution where the file stores one.

What is stored in tiles is decoded by tiles. What Pillow has no mode for, CIELab, and what it decodes wrong is
decoded by imagecodecs, at full size only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, BinaryIO

from PIL import Image

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.colour import has_color
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.sources import jp2_blocks, read_credit
from iiif_server.imaging.header import Header
from iiif_server.imaging.limits import MAX_SIDE, check_size, guarded_decoding
from iiif_server.imaging.metadata import image_resolution
from iiif_server.imaging.orientation import IDENTITY
from iiif_server.imaging.readers.base import Decoded, Source
from iiif_server.imaging.readers.jp2 import (
    Channel,
    Colours,
    LabSpace,
    codestream,
    read_channels,
    read_colours,
)
from iiif_server.imaging.readers.jpeg2000_tiles import TiledJpeg2000Source, pieces_of, read_tiles
from iiif_server.imaging.readers.pillow import PillowSource
from iiif_server.imaging.tasks import SourceLimits

_REDUCTIONS = (1, 2, 4, 8, 16, 32)
_WHOLE_BYTES = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
"""Modes of 8 bits for each channel; Pillow has one of 16 for gray, which it fills rightly."""


class Jpeg2000Source(PillowSource):
    """A JP2 file or a bare codestream. Of its profile Pillow says nothing."""

    def __init__(self, file: BinaryIO, header: Header, colours: Colours) -> None:
        super().__init__(file, header, "JPEG2000")
        self._profile = colours.profile

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert part is None
        image = self.open_image()
        if reduction == 1:
            image.load()
            return Decoded(image, self._profile)
        try:
            image.reduce = reduction.bit_length() - 1  # type: ignore[method-assign, assignment]
            image.load()
        except OSError:
            # Stored with fewer resolutions than that, as a whole or in one tile.
            image = self.open_image()
            image.load()
            return Decoded(image.copy().reduce(reduction), self._profile)
        return Decoded(image, self._profile)


class _BareSource(Source):
    """What is decoded past Pillow."""

    def credit(self) -> Credit:
        """See :meth:`Source.credit`."""
        return read_credit(*jp2_blocks(self.file))


class ImagecodecsSource(_BareSource):
    """What Pillow decodes wrongly: other depths than 8 bits, and chroma of fewer samples than luma."""

    def __init__(self, file: BinaryIO, header: Header, mode: str, bits: int, colours: Colours) -> None:
        super().__init__(file, header)
        self._mode, self._bits, self._profile = mode, bits, colours.profile

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        assert reduction == 1
        assert part is None
        # The codec applies a profile in its own way if it sees one.
        data = codestream(self.file) if self._profile else _whole(self.file)
        pixels = _samples(data, len(self._mode), self._bits)
        return Decoded(Image.frombytes(self._mode, pixels.shape[1::-1], pixels.tobytes()), self._profile)


class LabSource(_BareSource):
    """A JP2 file in the enumerated colour space CIELab."""

    def __init__(self, file: BinaryIO, header: Header, space: LabSpace) -> None:
        super().__init__(file, header)
        self._space = space

    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """See :meth:`Source.decode`."""
        from iiif_server.imaging.readers.cielab import from_samples, lab_image, under_d50

        assert reduction == 1
        assert part is None
        lab = from_samples(_samples(_whole(self.file), 3, 8), self._space)
        return Decoded(lab_image(under_d50(lab) if self._space.is_d65 else lab), None)


def open_jpeg2000(file: BinaryIO, limits: SourceLimits) -> Source:
    """Read a header.

    Args:
        file: positioned anywhere.
        limits: what it may be. What is stored in tiles may have more pixels than are decoded at once.

    Raises:
        UnreadableSource: it is damaged.
        SourceTooLarge: it is beyond the limits.
    """
    with guarded_decoding(MAX_SIDE**2):
        file.seek(0)
        image = Image.open(file, formats=("JPEG2000",))
        stored = Dimensions(*image.size)
        coloured, dots = has_color(image), image_resolution(image)
    check_size(stored, None)
    colours = read_colours(file)
    if colours.lab is not None:
        check_size(stored, limits.max_pixels)
        return LabSource(file, Header(stored, IDENTITY, has_color=True), colours.lab)
    if image.mode in _WHOLE_BYTES and (bits := _bits_if_wrong(read_channels(file))):
        check_size(stored, limits.max_pixels)
        header = Header(stored, IDENTITY, coloured, resolution=dots)
        return ImagecodecsSource(file, header, image.mode, bits, colours)
    header = Header(stored, IDENTITY, coloured, _reductions(stored), resolution=dots)
    tiles = read_tiles(file, stored, limits.max_pixels)
    if tiles is None:
        check_size(stored, limits.max_pixels)
        return Jpeg2000Source(file, header, colours)
    header = replace(header, parts=True, pieces=pieces_of(tiles[0]))
    return TiledJpeg2000Source(file, header, tiles, image.mode, colours, limits.max_pixels)


def _bits_if_wrong(channels: list[Channel]) -> int:
    """The bits of each sample of what Pillow decodes wrongly; 0 for what it decodes rightly.

    Of more than 8 bits it makes white black, of fewer it makes white gray, and it mixes up the rows of
    channels that have different sizes.
    """
    bits = max((channel.bits for channel in channels), default=8)
    return bits if bits != 8 or len({channel.step for channel in channels[:3]}) > 1 else 0


def _reductions(stored: Dimensions) -> tuple[int, ...]:
    """The reductions at which Pillow, which rounds to nearest, agrees with the codec, which rounds up."""
    return tuple(
        factor
        for factor in _REDUCTIONS
        if all((side + factor // 2) // factor == -(-side // factor) for side in stored)
        and min(level_size(stored, factor)) > 1
    ) or (1,)


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _samples(data: bytes, count: int, bits: int) -> Any:
    """8 bits of each sample, by row, column and channel; all channels of the full size.

    As of TIFFs: of up to 8 bits all values count, of more the highest 8.
    """
    import imagecodecs
    import numpy as np

    samples = imagecodecs.jpeg2k_decode(data, numthreads=1)
    if samples.dtype.kind not in "ui" or samples.shape[2:] != ((count,) if count > 1 else ()):
        raise ValueError(f"not {count} channels: {samples.dtype} {samples.shape}")
    if samples.dtype.kind == "i":
        samples = samples.astype(np.int32) + (1 << bits - 1)
    if bits == 8:
        return samples
    octets = samples >> bits - 8 if bits > 8 else samples.astype(np.uint16) * 255 // (2**bits - 1)
    return octets.astype(np.uint8)

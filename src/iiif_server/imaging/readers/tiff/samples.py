"""TIFF samples to pixels of 8 bits, in one of Pillow's modes.

Up to 8 bits, the full range of values becomes 0 to 255. Of 9 to 16 bits the highest 8 count; those of CIELab
are rounded, since a* and b* have whole numbers for colours that differ visibly. Signed, floating
point and wider samples have no range that could be known: the smallest finite value of the whole page becomes
0, the largest 255, and NaN is black.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffPage

_PHOTOMETRIC = 262
_WHITE_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB, _ICCLAB = 0, 2, 3, 5, 6, 8, 9
_JPEG = frozenset({6, 7})
_ASSOCIATED, _UNASSOCIATED = 1, 2
_MODES = {_RGB: "RGB", _PALETTE: "RGB", _SEPARATED: "CMYK", _YCBCR: "YCbCr", _CIELAB: "LAB", _ICCLAB: "LAB"}
_WITH_ALPHA = {
    ("L", _UNASSOCIATED): "LA",
    ("L", _ASSOCIATED): "La",
    ("RGB", _UNASSOCIATED): "RGBA",
    ("RGB", _ASSOCIATED): "RGBa",
}


class Range(NamedTuple):
    """The smallest and the largest finite value of a page."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a page's samples mean.

    Attributes:
        mode: of the pixels that come out.
        channels: how many samples of a pixel count, alpha included.
        bits: of each sample.
        inverted: whether 0 is white.
        colours: the palette by index, as red, green, blue; ``None`` without one.
        unsigned_ab: whether a* and b* have an offset instead of a sign.
        needs_range: whether the range of values has to be found first.
    """

    mode: str
    channels: int
    bits: int
    inverted: bool
    colours: NDArray[np.uint8] | None
    unsigned_ab: bool
    needs_range: bool

    @property
    def has_color(self) -> bool:
        """Tell whether this is more than gray."""
        if self.colours is not None:
            return bool((self.colours != self.colours[:, :1]).any())
        return self.mode not in {"L", "LA", "La"}


def interpretation(page: TiffPage) -> Interpretation:
    """Find out what a page's samples mean (TIFF 6.0 sections 3 to 6, 18, 20 to 23)."""
    photometric, compression = int(page.photometric), int(page.compression)
    mode = _MODES.get(photometric, "L")
    if mode == "YCbCr" and compression in _JPEG:
        mode = "RGB"  # as the decoder gives it
    channels = 3 if mode == "YCbCr" else len(mode)
    colours = None
    if photometric == _PALETTE:
        if page.colormap is None:
            raise ValueError("a palette image without a palette")
        colours = (page.colormap.T >> 8).astype(np.uint8)
        channels = 1
    elif page.extrasamples and (mode, int(page.extrasamples[0])) in _WITH_ALPHA:
        mode = _WITH_ALPHA[mode, int(page.extrasamples[0])]
        channels += 1
    assert page.dtype is not None
    lab = photometric in {_CIELAB, _ICCLAB}
    return Interpretation(
        mode=mode,
        channels=channels,
        bits=page.bitspersample,
        # Without the tag, readers agree on black for 0, whatever the default would be.
        inverted=photometric == _WHITE_IS_ZERO and _PHOTOMETRIC in page.tags,
        colours=colours,
        unsigned_ab=photometric == _ICCLAB,
        needs_range=not lab and (page.dtype.kind in "if" or page.bitspersample > 16),
    )


def find_range(pieces: Iterable[NDArray[Any]]) -> Range:
    """The range of all finite values; of none, 0 to 0."""
    low, high = np.inf, -np.inf
    for piece in pieces:
        finite = piece[np.isfinite(piece)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return Range(low, high) if low <= high else Range(0, 0)


def to_image(samples: NDArray[Any], meaning: Interpretation, extent: Range | None) -> Image.Image:
    """Make pixels of samples by row, column and channel.

    Args:
        samples: as decoded.
        meaning: of them.
        extent: the page's range, where the interpretation needs one.
    """
    samples = samples[..., : meaning.channels]
    if meaning.colours is not None:
        indices = np.minimum(samples[..., 0], len(meaning.colours) - 1)
        return Image.fromarray(meaning.colours[indices])
    if extent is not None:
        pixels = _stretched(samples, extent)
    elif meaning.mode == "LAB" and meaning.bits == 16:
        pixels = _rounded_lab(samples.view(np.uint16), signed=not meaning.unsigned_ab)
    else:
        pixels = _to_bytes(samples, meaning.bits)
    if meaning.inverted:
        colours = pixels[..., :1] if meaning.mode in {"L", "LA", "La"} else pixels
        pixels = np.concatenate((255 - colours, pixels[..., colours.shape[2] :]), axis=2)
    if meaning.unsigned_ab:
        pixels = pixels ^ np.array([0, 128, 128], np.uint8)
    height, width = pixels.shape[:2]
    image = Image.new(meaning.mode, (width, height), None)  # not filled with black first
    image.frombytes(np.ascontiguousarray(pixels).data)
    return image


def _to_bytes(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        octets: NDArray[Any] = samples.view(np.uint8)
    elif bits < 8:
        octets = samples.astype(np.uint16) * 255 // (2**bits - 1)
    else:
        octets = samples.view(np.uint16) >> (bits - 8)  # Lab's signed samples keep their sign
    return octets.astype(np.uint8, copy=False)


def _rounded_lab(samples: NDArray[np.uint16], *, signed: bool) -> NDArray[np.uint8]:
    """The nearest bytes; a sign stays one."""
    offsets = np.array([0, 0x8000, 0x8000] if signed else [0, 0, 0], np.uint16)
    nearest: NDArray[np.uint16] = (np.minimum(samples ^ offsets, 0xFF7F) + 0x80) >> 8
    return (nearest ^ (offsets >> 8)).astype(np.uint8)


def _stretched(samples: NDArray[Any], extent: Range) -> NDArray[np.uint8]:
    low, high = extent
    if high <= low:
        return np.zeros(samples.shape, np.uint8)
    values = np.nan_to_num(samples.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)

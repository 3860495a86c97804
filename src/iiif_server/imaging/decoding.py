"""What decoding a source takes: facts that a worker finds in its header, and the server plans memory by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.orientation import IDENTITY, Symmetry


@dataclass(frozen=True, slots=True)
class JpegFacts:
    """What decides whether a JPEG's data can be passed on without decoding.

    Attributes:
        mcu: the grid on which its blocks can be moved, in stored pixels.
        gray: whether it has one component only.
        portable: whether its data means the same without its metadata: 8-bit Huffman-coded gray or YCbCr, in
            sRGB or without a profile.
        croppable: whether its sampling is one that lossless transforms support.
        in_strips: whether parts are cut out strip by strip, so that not all coefficients are held.
    """

    mcu: Dimensions
    gray: bool
    portable: bool
    croppable: bool
    in_strips: bool = False


@dataclass(frozen=True, slots=True)
class Decoding:
    """What decoding takes.

    Attributes:
        per_pixel: bytes for each pixel of the level that is decoded, at the most, until it is upright sRGB.
        file: bytes of the file, where it is read whole.
        fixed: bytes besides, whichever level is decoded.
        coefficients: bytes of all coefficients of a JPEG, which a lossless transform holds.
        channels: of what comes out; more than one take four bytes of each pixel, and 2 and 4 have alpha.
        turn: what sets the decoded image upright.
        reductions: as :class:`iiif_server.imaging.header.Header` has them.
        parts: the same.
        jpeg: the same.
        piece: the size of the pieces that are decoded by themselves and kept, if there are such.
    """

    per_pixel: float
    file: int = 0
    fixed: int = 0
    coefficients: int = 0
    channels: int = 3
    turn: Symmetry = IDENTITY
    reductions: tuple[int, ...] = (1,)
    parts: bool = False
    jpeg: JpegFacts | None = None
    piece: Dimensions | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether one of the channels is transparency."""
        return self.channels in {2, 4}

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        jpeg, piece = data["jpeg"], data["piece"]
        return cls(
            per_pixel=float(data["per_pixel"]),
            file=int(data["file"]),
            fixed=int(data["fixed"]),
            coefficients=int(data["coefficients"]),
            channels=int(data["channels"]),
            turn=Symmetry(*map(bool, data["turn"])),
            reductions=tuple(map(int, data["reductions"])),
            parts=bool(data["parts"]),
            jpeg=jpeg and JpegFacts(**jpeg | {"mcu": Dimensions(*jpeg["mcu"])}),
            piece=piece and Dimensions(*map(int, piece)),
        )


def typical(media_type: str | None, *, has_color: bool = True) -> Decoding:
    """What to expect of a source whose header tells no more than its format, or that nobody looked at."""
    if media_type == _JPEG_2000 and not has_color:
        return _GRAY_JPEG_2000
    return _TYPICAL.get(media_type or "", _UNKNOWN)


_JPEG_2000 = "image/jp2"
_REDUCTIONS = (1, 2, 4, 8, 16, 32)
_GRAY_JPEG_2000 = Decoding(8, channels=1, reductions=_REDUCTIONS)
_UNKNOWN = Decoding(4)
_TYPICAL = {
    "image/jpeg": Decoding(4, reductions=_REDUCTIONS[:4]),
    "image/png": Decoding(4),
    "image/tiff": Decoding(4, parts=True),
    _JPEG_2000: Decoding(21, reductions=_REDUCTIONS),  # four bytes of each sample, twice or so
    "image/webp": Decoding(14.5),  # three canvases with alpha, as for an animation
    "image/gif": Decoding(5),
    "image/bmp": Decoding(4),
    "image/avif": Decoding(9),
    "image/heic": Decoding(9),
}

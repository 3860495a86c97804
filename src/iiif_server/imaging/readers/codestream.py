"""The main header of a JPEG 2000 codestream, as far as tiles are concerned (ISO/IEC 15444-1, annex A)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import ceil_div
from iiif_server.imaging.readers.reference_grid import Axis

ReadAt = Callable[[int, int], bytes]
"""Reads, from an offset, so many bytes; fewer at the end."""

SOC, SIZ, COD, COC, SOT, SOD, EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_TLM, _PLM, _PPM, _COM = 0xFF55, 0xFF57, 0xFF60, 0xFF64
_DROPPED = frozenset({_TLM, _PLM, _COM})
"""Lengths, of which decoders have no need, and comments."""
_SIZES = ">8I"
_MAX_SEGMENTS = 2000
_MAX_KEPT = 1 << 20
_MAX_LEVELS = 32
_MAX_SIZ = 38 + 3 * 16_384
_WHOLE = 15
"""The exponent of precincts where none are stated (table A.21)."""


class Segment(NamedTuple):
    """A marker segment: its marker, where it begins, and its bytes with the marker's two."""

    marker: int
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class MainHeader:
    """What a main header says.

    Attributes:
        across: the columns of tiles.
        down: the rows of tiles.
        levels: of decomposition that all components have: each halves the size.
        profile: what decoders need to be able to, as stated (Rsiz).
        components: number and kinds, as stated.
        segments: all others that decoders need.
        end: where the first tile-part begins.
    """

    across: Axis
    down: Axis
    levels: int
    profile: bytes
    components: bytes
    segments: bytes
    end: int

    @property
    def size(self) -> Dimensions:
        """The image's size in pixels."""
        return Dimensions(self.across.length, self.down.length)

    @property
    def tile(self) -> Dimensions:
        """The size of a full tile."""
        return Dimensions(self.across.step, self.down.step)

    def is_bytes(self, count: int) -> bool:
        """Tell whether there are so many components, each of 8 bits and none signed."""
        return self.components == struct.pack(">H", count) + b"\7\1\1" * count

    def reduces(self, factor: int) -> bool:
        """Tell whether Pillow decodes the level at this factor, out of the whole or of some tiles."""
        return factor == 1 or (
            factor <= 1 << self.levels
            and not self.across.start
            and not self.down.start
            and not self.across.has_empty_tile(factor)
            and not self.down.has_empty_tile(factor)
        )

    def rewritten(self, across: Axis, down: Axis) -> bytes:
        """The header of a codestream that holds other tiles (A.5.1)."""
        sizes = struct.pack(
            _SIZES,
            *(value for name in ("end", "start", "step", "grid") for value in _both(across, down, name)),
        )
        siz = self.profile + sizes + self.components
        return struct.pack(">HHH", SOC, SIZ, len(siz) + 2) + siz + self.segments


def read_main_header(read: ReadAt, at: int) -> MainHeader | None:
    """Read the main header of a codestream that begins here.

    Returns:
        ``None`` if its tiles can't be told apart from here: packet headers lie together (PPM), or a pixel
        is not a unit of the reference grid.

    Raises:
        ValueError: it is damaged, or beyond reason.
    """
    if read(at, 2) != struct.pack(">H", SOC):
        raise ValueError("no codestream")
    found = list(walk(read, at + 2))
    if not found or found[0].marker != SIZ or found[0].size > _MAX_SIZ:
        raise ValueError("the codestream tells no size")
    if any(segment.marker == _PPM for segment in found):
        return None
    siz = read(found[0].at + 4, found[0].size - 4)
    kept = [segment for segment in found[1:] if segment.marker not in _DROPPED]
    if sum(segment.size for segment in kept) > _MAX_KEPT:
        raise ValueError("the main header is too large")
    texts = {segment: read(segment.at, segment.size) for segment in kept}
    codings = [
        coding
        for segment, text in texts.items()
        if (coding := _read_coding(segment.marker, text, len(siz))) is not None
    ]
    if len(siz) < 39 or not codings:
        raise ValueError("the main header is not complete")
    if set(siz[37::3]) | set(siz[38::3]) != {1}:
        return None
    x, y = _axes(siz)
    return MainHeader(
        replace(x, unit=_unit(x, codings, 0)),
        replace(y, unit=_unit(y, codings, 1)),
        min(coding.levels for coding in codings),
        siz[:2],
        siz[34:],
        b"".join(texts.values()),
        found[-1].at + found[-1].size,
    )


def walk(read: ReadAt, at: int) -> Iterator[Segment]:
    """The marker segments from here to the end of a main header, or of a tile-part's (A.1).

    Raises:
        ValueError: something else comes.
    """
    for _ in range(_MAX_SEGMENTS):
        head = read(at, 4)
        marker = int.from_bytes(head[:2])
        if marker in {SOT, SOD}:
            return
        length = int.from_bytes(head[2:])
        if len(head) < 4 or marker < 0xFF00 or length < 2:
            raise ValueError("a header of the codestream is damaged")
        yield Segment(marker, at, length + 2)
        at += length + 2
    raise ValueError("a header of the codestream has too many segments")


class _Coding(NamedTuple):
    """How components are coded (tables A.15, A.20): exponents of sides, each across and down."""

    levels: int
    block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]


def _read_coding(marker: int, segment: bytes, siz: int) -> _Coding | None:
    """What COD or COC says (A.6.1, A.6.2)."""
    if marker == COD:
        flags, style = segment[4:5], segment[9:]
    elif marker == COC:
        wide = 1 if siz < 36 + 3 * 257 else 2
        flags, style = segment[4 + wide : 5 + wide], segment[5 + wide :]
    else:
        return None
    if not flags or len(style) < 5 or (levels := style[0]) > _MAX_LEVELS:
        raise ValueError("the coding style is damaged")
    precincts: tuple[tuple[int, int], ...] = ((_WHOLE, _WHOLE),) * (levels + 1)
    if flags[0] & 1:
        precincts = tuple((stated & 15, stated >> 4) for stated in style[5 : 6 + levels])
    if len(precincts) <= levels or not all(map(all, precincts[1:])):
        raise ValueError("the precincts are damaged")
    return _Coding(levels, ((style[1] & 15) + 2, (style[2] & 15) + 2), precincts)


def _axes(siz: bytes) -> tuple[Axis, Axis]:
    """Both directions, as stated and possible (B.2, B.3)."""
    end_x, end_y, start_x, start_y, step_x, step_y, grid_x, grid_y = struct.unpack_from(_SIZES, siz, 2)
    axes = Axis(start_x, end_x, grid_x, step_x), Axis(start_y, end_y, grid_y, step_y)
    if not all(axis.grid <= axis.start < axis.end and axis.grid + axis.step > axis.start for axis in axes):
        raise ValueError("the codestream has an impossible size")
    return axes


def _unit(axis: Axis, codings: list[_Coding], side: int) -> int:
    """See :class:`Axis`. Precincts and code-blocks are counted from 0 of each resolution (B.6, B.7)."""
    exponent = 0
    for levels, block, precincts in codings:
        for resolution, precinct in enumerate(precincts):
            below = levels - resolution
            if ceil_div(axis.end, 1 << below) > 1 << precinct[side]:
                exponent = max(exponent, below + precinct[side])
                continue
            # All lies in one precinct, and will. Blocks divide its subbands, which are a level further down.
            deeper = 1 if resolution else 0
            exponent = max(exponent, below + deeper + min(block[side], precinct[side] - deeper))
    return int(1 << exponent)


def _both(across: Axis, down: Axis, name: str) -> tuple[int, int]:
    return getattr(across, name), getattr(down, name)

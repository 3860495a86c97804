"""What a JPEG 2000 file says of its channels that Pillow does not tell (ISO/IEC 15444-1 annexes A and I)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_ENUMERATED, _PROFILED = b"\1", {b"\2", b"\3"}
_CIELAB, _SYCC, _D65 = 14, 18, b"\0D65"
_LAB_RANGES = (100, 0, 170, 128, 200, 96)
"""Range and offset of L*, a* and b* at 8 bits, where the file states none (ISO/IEC 15444-2, M.11.7.4.1)."""
_CODESTREAM = b"\xff\x4f\xff\x51"
_CHANNELS_AT = 40
"""Where, from its start, a codestream tells the number of its channels; three bytes for each follow."""
_MAX_CHANNELS, _MAX_BOXES, _MAX_PROFILE = 5, 1000, 4 << 20
_SIGNATURE, _TYPE, _HEADER, _IMAGE_HEADER = b"jP  ", b"ftyp", b"jp2h", b"ihdr"


class Channel(NamedTuple):
    """A channel of the codestream.

    Attributes:
        bits: of each sample.
        step: from sample to sample, across and down, in pixels.
    """

    bits: int
    step: tuple[int, int]


class LabSpace(NamedTuple):
    """What 8-bit samples in CIELab mean.

    Attributes:
        ranges: range and offset of L*, a* and b*, by turns.
        is_d65: whether the colours are those seen under D65, not D50.
    """

    ranges: tuple[int, ...]
    is_d65: bool


class Colours(NamedTuple):
    """What the first colour specification says, as far as it needs doing.

    Attributes:
        lab: what samples mean if they are in CIELab.
        profile: an ICC profile.
        is_ycc: whether samples are luma and chroma, beyond what the codestream says.
    """

    lab: LabSpace | None = None
    profile: bytes | None = None
    is_ycc: bool = False


class Wrapping(NamedTuple):
    """What stands around a codestream and says how to show it.

    Attributes:
        boxes: that come before it; none if it stands alone.
        size_at: where they state the image's height and width.
    """

    boxes: bytes = b""
    size_at: int = 0

    def around(self, codestream: bytes, width: int, height: int) -> bytes:
        """A file of another codestream, of so many pixels, that is shown in the same way."""
        if not self.boxes:
            return codestream
        before, after = self.boxes[: self.size_at], self.boxes[self.size_at + 8 :]
        return before + struct.pack(">II", height, width) + after + _box(b"jp2c", codestream)


def read_wrapping(file: BinaryIO) -> Wrapping | None:
    """Read what stands around the codestream (I.5.1 to I.5.3); ``None`` if it is damaged or too large."""
    if not _find_codestream(file):
        return Wrapping()
    boxes, size_at = b"", 0
    for kind, start, end in _boxes(file, 0, None):
        if kind not in {_SIGNATURE, _TYPE, _HEADER}:
            continue
        if end - start > _MAX_PROFILE:
            return None
        file.seek(start)
        text = file.read(end - start)
        if kind == _HEADER:
            found = (at for inner, at, _ in _boxes(file, start, end) if inner == _IMAGE_HEADER)
            size_at = len(boxes) + 8 + next(found, start) - start
        boxes += _box(kind, text)
        if kind == _HEADER:
            break
    return Wrapping(boxes, size_at) if size_at else None


def codestream_extent(file: BinaryIO) -> tuple[int, int]:
    """Where the codestream begins and where its box, or the file, ends."""
    length = file.seek(0, os.SEEK_END)
    for kind, start, end in _boxes(file, 0, None):
        if kind == b"jp2c":
            return start, min(end, length)
    return 0, length


def read_colours(file: BinaryIO) -> Colours:
    """Read the first colour specification; what is damaged says nothing (I.5.3.3)."""
    for kind, start, end in _boxes(file, 0, None):
        if kind == _HEADER:
            for inner, inner_start, inner_end in _boxes(file, start, end):
                if inner == b"colr":
                    file.seek(inner_start)
                    return _parse_colour(file.read(min(inner_end - inner_start, _MAX_PROFILE)))
    return Colours()


def codestream(file: BinaryIO) -> bytes:
    """The image data alone, without what says how to show it."""
    file.seek(_find_codestream(file))
    return file.read()


def read_channels(file: BinaryIO) -> list[Channel]:
    """The channels, as the codestream's first marker segment states them (A.5.1); none if it is damaged."""
    file.seek(_find_codestream(file))
    head = file.read(_CHANNELS_AT + 2)
    if not head.startswith(_CODESTREAM):
        return []
    stated = file.read(3 * min(int.from_bytes(head[_CHANNELS_AT:]), _MAX_CHANNELS))
    return [Channel((bits & 0x7F) + 1, (x, y)) for bits, x, y in zip(*[iter(stated)] * 3, strict=False)]


def _parse_colour(box: bytes) -> Colours:
    if box[:1] in _PROFILED:
        return Colours(profile=box[3:] or None)
    space = int.from_bytes(box[3:7])
    if box[:1] != _ENUMERATED or space != _CIELAB:
        return Colours(is_ycc=box[:1] == _ENUMERATED and space == _SYCC)
    stated = tuple(int.from_bytes(box[at : at + 4]) for at in range(7, 31, 4))
    ranges = stated if len(box) >= 31 and all(stated[::2]) else _LAB_RANGES
    return Colours(LabSpace(ranges, box[31:35] == _D65))


def _find_codestream(file: BinaryIO) -> int:
    """Where it begins; 0 for a file that has nothing else."""
    return codestream_extent(file)[0]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _boxes(file: BinaryIO, start: int, end: int | None) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of the boxes in a range of the file (I.4)."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or (end is not None and start >= end):
            return
        length, kind, body = int.from_bytes(head[:4]), head[4:8], start + 8
        if length == 1:
            length, body = int.from_bytes(head[8:16]), start + 16
        if not length:  # to the end of the file: the codestream
            length = file.seek(0, os.SEEK_END) - start
        if length < body - start:
            return  # nonsense
        yield kind, body, start + length
        start += length

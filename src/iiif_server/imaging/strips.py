"""Cut parts out of a JPEG strip by strip, so that the coefficients of one strip at a time are in memory.

TurboJPEG's transforms want all of a file. But a scan without restarts is one row of coded units, whatever
lines they make: from where one begins, with the means that the one before left, it reads like a file's start.

Both are found without reading a bit here. A strip is handed to TurboJPEG with a file header of its few lines,
and comes back whole, besides its parts. Where the source has the tables that TurboJPEG writes, what comes
back is what was handed over, bit by bit, up to the strip's end; and if it is, then this is the end. The next
strip gets a first row of empty units in front, which sets the means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from iiif_server.iiif.geometry import Rectangle
from iiif_server.iiif.ladder import ceil_div
from iiif_server.imaging.huffman import BadCode, read_unit, write_flat
from iiif_server.imaging.scan import Scan

_LINES = 512
"""Of a strip in which nothing is cut."""
_MORE = 2
_SLACK = 1 << 16
"""So many times the bytes that are to be expected, and so many besides, are handed over for a strip."""

Transform = Callable[[bytes, Sequence[Rectangle | None]], Sequence[bytes]]


class Entry(NamedTuple):
    """Where a strip begins.

    Attributes:
        offset: of its first byte in the scan's data.
        bit: how many bits of that byte are not its own.
        means: what its first blocks are coded in relation to.
    """

    offset: int
    bit: int
    means: tuple[int, ...]


def cut_in_strips(
    transform: Transform, scan: Scan, parts: Iterable[Rectangle]
) -> Iterator[tuple[Rectangle, bytes]]:
    """Cut parts out, from above to below; ends early where the scan can't be followed.

    What comes for a part, if anything, depends on the scan's data down to the part's last line, and on
    nothing else.

    Args:
        transform: TurboJPEG's, of a file: a part each, or everything for ``None``; nothing if it can't.
        scan: of the JPEG.
        parts: rectangles whose origins lie on the grid of coded units.
    """
    entry = Entry(0, 0, ())
    for top, bottom, within in _bands(parts, scan.unit.height):
        lines = min(bottom, scan.size.height) - top
        if (done := _strip(transform, scan, entry, top, lines, within)) is None:
            return
        pieces, entry = done
        yield from zip(within, pieces, strict=True)


def _bands(parts: Iterable[Rectangle], step: int) -> Iterator[tuple[int, int, list[Rectangle]]]:
    """First and last line of strips down to the last part, in whole units, and the parts in each."""
    top = 0
    waiting = sorted(parts, key=lambda part: part.y)
    while waiting:
        first = waiting[0].y
        while top < first:
            bottom = min(first, top + _LINES)
            yield top, bottom, []
            top = bottom
        within, bottom = [], top + step
        while waiting and waiting[0].y < bottom:
            part = waiting.pop(0)
            within.append(part)
            bottom = max(bottom, ceil_div(part.y + part.height, step) * step)
        yield top, bottom, within
        top = bottom


def _strip(
    transform: Transform, scan: Scan, entry: Entry, top: int, lines: int, parts: Sequence[Rectangle]
) -> tuple[Sequence[bytes], Entry] | None:
    """Cut the parts of one strip, and find where the next one begins; ``None`` if that can't be told."""
    try:
        before = _lead(scan, entry) if top else b""
    except BadCode:
        return None
    leading = scan.unit.height if top else 0
    begin = entry.offset + _length(scan.data, entry.offset) if entry.bit else entry.offset
    last = Rectangle(
        (scan.columns - 1) * scan.unit.width,
        leading + (lines - 1) // scan.unit.height * scan.unit.height,
        *scan.unit,
    )
    last = last._replace(height=min(scan.unit.height, leading + lines - last.y))
    wanted = [None, last, *(part._replace(y=part.y - top + leading) for part in parts)]
    rest = scan.size.height - top
    enough = int(_MORE * (len(scan.data) - begin) * lines / rest) + _SLACK
    while True:
        end = min(len(scan.data), begin + enough)
        handed = scan.headed(leading + lines, before, scan.data[begin:end])
        made = transform(handed, wanted)
        if made:
            whole, unit, *pieces = made
            found = _end(scan, whole, unit, memoryview(handed)[len(scan.head) : -2])
            if found is not None:
                at, bit, means = found
                return pieces, Entry(begin + at - len(before), bit, means)
        if end == len(scan.data):
            return None
        enough *= 4


def _lead(scan: Scan, entry: Entry) -> bytes:
    """A row of empty units, and what of the byte behind it belongs to the strip."""
    bits = write_flat(scan.columns, entry.means, scan.blocks, entry.bit)
    if entry.bit:
        bits += f"{scan.data[entry.offset]:08b}"[entry.bit :]
    return int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")


def _end(
    scan: Scan, whole: bytes, unit: bytes, handed: memoryview
) -> tuple[int, int, tuple[int, ...]] | None:
    """Where in what was handed over a strip ends, and the means it leaves, if it came back as it was.

    Args:
        scan: of the source.
        whole: the strip as it came back.
        unit: its last coded unit, as a file.
        handed: the data that was handed over.
    """
    back, one = Scan.of(whole), Scan.of(unit)
    if back is None or one is None or back.tables != scan.tables:
        return None
    try:
        bits = _bits(bytes(one.data))
        length, means = read_unit(bits, one.blocks)
    except BadCode:
        return None
    # The last byte is filled up with ones. How many are the unit's own, the unit tells.
    filled = _ones(_bits(bytes(back.data[-64:]))) - _ones(bits[:length])
    at = len(back.data) - (2 if bytes(back.data[-2:]) == b"\xff\0" else 1)
    if not 0 <= filled < 8 or len(handed) <= at or handed[:at] != back.data[:at]:
        return None
    own = 8 - filled
    if handed[at] >> filled != back.data[at] >> filled:
        return None
    return (at, own, means) if filled else (at + _length(handed, at), 0, means)


def _length(data: memoryview, at: int) -> int:
    """Bytes that a byte takes: behind FF stands a zero."""
    return 2 if data[at] == 0xFF else 1


def _bits(data: bytes) -> str:
    data = data.replace(b"\xff\0", b"\xff")
    return f"{int.from_bytes(data):0{8 * len(data)}b}" if data else ""


def _ones(bits: str) -> int:
    return len(bits) - len(bits.rstrip("1"))

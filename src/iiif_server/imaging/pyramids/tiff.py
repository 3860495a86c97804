"""Write a pyramidal TIFF of tiles that are JPEG files already, tile by tile as they come.

A BigTIFF of one directory for each level (TIFF 6.0 sections 15 and 22, Technical Note 2): photometric
YCbCr or gray, each tile a JPEG stream with its own tables. tifffile writes the same, but wants levels whole
and in order, and costs each worker a third of a second and 25 MB for its import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import BinaryIO

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.pyramids.index import Span

_HEADER = 16
_ASCII, _SHORT, _LONG, _LONG8 = 2, 3, 4, 16
_CODES = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
_SIZES = {_ASCII: 1, _SHORT: 2, _LONG: 4, _LONG8: 8}
_JPEG, _GRAY, _YCBCR, _REDUCED = 7, 1, 6, 1
_SOFTWARE = b"iiif-server\0"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the JPEGs of a level hold their samples.

    Attributes:
        channels: 1 for gray, 3 for YCbCr.
        sampling: how many pixels across and down share their colours.
    """

    channels: int
    sampling: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Level:
    """One directory.

    Attributes:
        size: in pixels.
        layout: of all its tiles.
        tiles: row by row, each of the full tile size.
    """

    size: Dimensions
    layout: Layout
    tiles: Sequence[Span]


class TiffWriter:
    """Appends tiles to a new file, then the directories.

    Args:
        out: empty, open for writing.
        tile: the size of all tiles.
    """

    def __init__(self, out: BinaryIO, tile: Dimensions) -> None:
        self._out = out
        self._tile = tile
        self._out.write(bytes(_HEADER))  # not a TIFF until it is finished
        self._end = _HEADER

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._end

    def append(self, data: bytes) -> Span:
        """Write one tile."""
        span = Span(self._end, len(data))
        data += bytes(-len(data) % 2)  # words begin at even offsets (section 2)
        self._out.write(data)
        self._end += len(data)
        return span

    def finish(self, levels: Sequence[Level]) -> None:
        """Write the directories, largest level first, and what makes the file a TIFF."""
        directories = [self._entries(number, level) for number, level in enumerate(levels)]
        self._end += -self._end % 8
        self._out.seek(self._end)
        first = self._end
        for number, entries in enumerate(directories):
            self._directory(entries, is_last=number == len(directories) - 1)
        self._out.seek(0)
        self._out.write(pack("<2sHHHQ", b"II", 43, 8, 0, first))
        self._out.seek(self._end)  # not the file's end, which may lie beyond: room that was reserved

    def _directory(self, entries: list[tuple[int, int, Sequence[int] | bytes]], *, is_last: bool) -> None:
        """One directory, and behind it the values that have no room in it."""
        length = 8 + 20 * len(entries) + 8
        position = self._end + length
        table, values = pack("<Q", len(entries)), b""
        for tag, kind, content in entries:
            data = content if isinstance(content, bytes) else pack(f"<{len(content)}{_CODES[kind]}", *content)
            table += pack("<HHQ", tag, kind, len(data) // _SIZES[kind])
            if len(data) <= 8:
                table += data.ljust(8, b"\0")
            else:
                table += pack("<Q", position + len(values))
                values += data + bytes(-len(data) % 8)
        self._end = position + len(values)
        self._out.write(table + pack("<Q", 0 if is_last else self._end) + values)

    def _entries(self, number: int, level: Level) -> list[tuple[int, int, Sequence[int] | bytes]]:
        """Tags in ascending order, as they have to be."""
        layout = level.layout
        entries: list[tuple[int, int, Sequence[int] | bytes]] = [
            (254, _LONG, [_REDUCED if number else 0]),
            (256, _LONG, [level.size.width]),
            (257, _LONG, [level.size.height]),
            (258, _SHORT, [8] * layout.channels),
            (259, _SHORT, [_JPEG]),
            (262, _SHORT, [_GRAY if layout.channels == 1 else _YCBCR]),
            (277, _SHORT, [layout.channels]),
            (284, _SHORT, [1]),
            (305, _ASCII, _SOFTWARE),
            (322, _LONG, [self._tile.width]),
            (323, _LONG, [self._tile.height]),
            (324, _LONG8, [span.offset for span in level.tiles]),
            (325, _LONG8, [span.length for span in level.tiles]),
        ]
        if layout.channels > 1:
            entries.append((530, _SHORT, list(layout.sampling)))
        return entries

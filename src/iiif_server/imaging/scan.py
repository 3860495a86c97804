"""What must be known of a JPEG to enter its scan midway: its tables, its coded units, and where what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from struct import pack, unpack_from

from PIL import Image

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import ceil_div
from iiif_server.imaging.huffman import Block, table_of

_SOF0, _SOF1, _DHT, _SOS, _DRI = 0xC0, 0xC1, 0xC4, 0xDA, 0xDD


@dataclass(frozen=True, slots=True)
class Scan:
    """A JPEG of one sequential scan without restarts.

    Attributes:
        head: the file up to the scan's data.
        frame: where in it the lines and columns stand.
        size: in pixels.
        unit: the size of a coded unit.
        tables: definitions of each block's tables, block by block.
        blocks: the same, and the component.
        data: of the scan.
    """

    head: bytes
    frame: int
    size: Dimensions
    unit: Dimensions
    tables: tuple[tuple[bytes, bytes], ...]
    blocks: tuple[Block, ...]
    data: memoryview

    @classmethod
    def of(cls, file: bytes) -> Scan | None:
        """Look at a file; ``None`` if it is another kind of JPEG.

        Args:
            file: from start marker to end marker, as :meth:`JpegLayout.assemble` gives it.
        """
        tables: dict[int, bytes] = {}
        frame = 0
        for marker, start, end in _segments(file):
            if marker == _DHT:
                tables.update(_tables(file[start:end]))
            elif marker in {_SOF0, _SOF1}:
                frame = start
            elif marker == _DRI and any(file[start:end]):
                return None
            elif marker == _SOS:
                return cls._made(file, frame, start, end, tables) if frame else None
        return None

    @classmethod
    def _made(cls, file: bytes, frame: int, scan: int, end: int, tables: Mapping[int, bytes]) -> Scan | None:
        height, width, count = unpack_from(">HHB", file, frame + 1)
        if file[scan] != count or end - scan <= 2 * count:
            return None
        parts = [file[at : at + 3] for at in range(frame + 6, frame + 6 + 3 * count, 3)]
        listed = [file[at : at + 2] for at in range(scan + 1, scan + 1 + 2 * count, 2)]
        if [part[0] for part in parts] != [entry[0] for entry in listed]:
            return None
        across, down = max(part[1] >> 4 for part in parts), max(part[1] & 15 for part in parts)
        blocks, used = [], []
        for number, (part, (_, selected)) in enumerate(zip(parts, listed, strict=True)):
            dc, ac = tables.get(selected >> 4), tables.get(0x10 | selected & 15)
            if dc is None or ac is None:
                return None
            times = 1 if count == 1 else (part[1] >> 4) * (part[1] & 15)
            blocks += [Block(number, table_of(dc), table_of(ac))] * times
            used += [(dc, ac)] * times
        unit = Dimensions(8, 8) if count == 1 else Dimensions(8 * across, 8 * down)
        size = Dimensions(width, height)
        return cls(file[:end], frame + 1, size, unit, tuple(used), tuple(blocks), memoryview(file)[end:-2])

    @property
    def is_standard(self) -> bool:
        """Tell whether it is coded by the tables that TurboJPEG writes."""
        first, other = standard_tables()
        return all(
            pair == (other if block.component else first)
            for pair, block in zip(self.tables, self.blocks, strict=True)
        )

    @property
    def columns(self) -> int:
        """Coded units in a row."""
        return ceil_div(self.size.width, self.unit.width)

    def headed(self, lines: int, *pieces: bytes | memoryview) -> bytes:
        """A file of so many lines; its columns are whole units, so that all that is coded comes back."""
        size = pack(">HH", lines, self.columns * self.unit.width)
        return b"".join((self.head[: self.frame], size, self.head[self.frame + 4 :], *pieces, b"\xff\xd9"))


@cache
def standard_tables() -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The tables of section K.3, for luma and chroma, as encoders write them that do not make their own."""
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", subsampling=0)
    scan = Scan.of(out.getvalue())
    assert scan is not None
    return scan.tables[0], scan.tables[1]


def _segments(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the payloads of a file's segments, up to the first scan's header."""
    at = 2
    while at + 4 <= len(file):
        marker, length = file[at + 1], int.from_bytes(file[at + 2 : at + 4])
        yield marker, at + 4, at + 2 + length
        at += 2 + length


def _tables(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Class and destination of Huffman tables, and their definitions (section B.2.4.2)."""
    while len(payload) > 17:
        length = 17 + sum(payload[1:17])
        yield payload[0], payload[1:length]
        payload = payload[length:]

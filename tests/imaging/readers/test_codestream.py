"""The main header of a JPEG 2000 codestream."""

import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.readers.codestream import MainHeader, ReadAt, read_main_header
from tests.imaging.helpers import picture

PPM, TLM, COM = b"\xff\x60", b"\xff\x55", b"\xff\x64"


def reader(data: bytes) -> ReadAt:
    return lambda at, size: data[at : at + size]


def codestream(width: int = 100, height: int = 80, bands: int = 3, **options: Any) -> bytes:
    out = BytesIO()
    picture(width, height, bands=bands).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


def header(data: bytes) -> MainHeader:
    found = read_main_header(reader(data), 0)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({}, (64 << 5, 64 << 5)),
        ({"codeblock_size": (16, 64)}, (16 << 5, 64 << 5)),
        ({"num_resolutions": 1}, (64, 64)),
        ({"num_resolutions": 3}, (64 << 2, 64 << 2)),
        # Across, the image lies in one precinct of each resolution; down, in two, which halve like the image.
        ({"num_resolutions": 3, "precinct_size": (128, 64)}, (128, 64)),
        ({"num_resolutions": 2, "precinct_size": (64, 64), "codeblock_size": (32, 32)}, (64, 64)),
    ],
)
def test_how_far_tiles_may_be_moved(options: dict[str, Any], units: tuple[int, int]) -> None:
    """By multiples of the sides of precincts, or of code-blocks where there is one, at full size."""
    found = header(codestream(tile_size=(32, 32), **options))
    assert (found.across.unit, found.down.unit) == units


def test_what_is_read() -> None:
    """Sizes, levels of decomposition, and what all decoders need."""
    data = codestream(
        tile_size=(48, 32), offset=(20, 10), tile_offset=(5, 3), num_resolutions=4, comment="Hello"
    )
    found = header(data)
    assert found.size == Dimensions(100, 80)
    assert found.tile == Dimensions(48, 32)
    assert (found.across.start, found.across.end, found.across.grid) == (20, 120, 5)
    assert (found.down.start, found.down.end, found.down.grid) == (10, 90, 3)
    assert found.levels == 3
    assert found.is_bytes(3)
    assert not found.is_bytes(4)
    assert b"Hello" in data[: found.end]
    assert b"Hello" not in found.segments
    assert data[found.end : found.end + 2] == b"\xff\x90"


def test_a_header_can_be_written_again() -> None:
    """As it was, but for comments."""
    found = header(codestream(tile_size=(48, 32)))
    again = found.rewritten(found.across, found.down)
    assert header(again + b"\xff\x90") == MainHeader(
        found.across, found.down, found.levels, found.profile, found.components, found.segments, len(again)
    )


def with_segment(data: bytes, marker: bytes, content: bytes) -> bytes:
    """A marker segment before the first tile-part."""
    at = data.index(b"\xff\x90")
    return data[:at] + marker + struct.pack(">H", len(content) + 2) + content + data[at:]


def test_segments_that_cannot_stay() -> None:
    """Lengths of tile-parts are dropped; packet headers of all tiles in one place can't be taken apart."""
    data = codestream(tile_size=(48, 32))
    assert header(with_segment(data, TLM, b"\0\x60" + b"\1" * 60)).segments == header(data).segments
    assert read_main_header(reader(with_segment(data, PPM, b"\0" * 9)), 0) is None


def test_a_component_of_its_own_style() -> None:
    """The one with the fewest levels decides how far all can be reduced, the strictest how far to move."""
    data = codestream(tile_size=(48, 32), num_resolutions=6)
    found = header(with_segment(data, b"\xff\x53", b"\2\0\1\4\4\0\1"))
    assert found.levels == 1
    assert found.across.unit == 64 << 5


def test_components_of_fewer_samples() -> None:
    """Are left to those who can."""
    data = bytearray(codestream(tile_size=(48, 32)))
    data[46] = 2  # the second component's step across
    assert read_main_header(reader(bytes(data)), 0) is None


DAMAGE = {
    "no codestream": lambda data: b"\xff\xd8" + data[2:],
    "cut off": lambda data: data[:60],
    "no size": lambda data: data[:2] + data[data.index(b"\xff\x52") :],
    "no coding style": lambda data: data.replace(b"\xff\x52", b"\xff\x64", 1),
    "no tiles": lambda data: data[:24] + bytes(8) + data[32:],
    "no pixels": lambda data: data[:8] + bytes(8) + data[16:],
    "the grid behind the image": lambda data: data[:32] + b"\0\0\0\1" + data[36:],
    "a segment without length": lambda data: with_segment(data, COM, b"")[:-2].replace(
        COM + b"\0\2", COM + b"\0\0"
    ),
    "no marker": lambda data: with_segment(data, b"\x12\x34", b"12"),
    "no precincts": lambda data: data.replace(b"\xff\x52\0\x0c\0", b"\xff\x52\0\x0c\1", 1),
    "too many levels": lambda data: data.replace(b"\1\5\4\4", b"\1\x21\4\4", 1),
    "too much": lambda data: with_many(data, 60_000, 20),
    "too many segments": lambda data: with_many(data, 1, 3000),
}


def with_many(data: bytes, size: int, count: int) -> bytes:
    """Segments that nobody knows."""
    at = data.index(b"\xff\x90")
    return data[:at] + (b"\xff\x79" + struct.pack(">H", size + 2) + bytes(size)) * count + data[at:]


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told(kind: str) -> None:
    """By one kind of error."""
    data = codestream(tile_size=(48, 32), mct=1)
    damaged = DAMAGE[kind](data)
    assert damaged != data
    with pytest.raises(ValueError, match=r"codestream|header|size|style|precincts"):
        read_main_header(reader(damaged), 0)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=30))
def test_any_damage(at: int, noise: bytes) -> None:
    """Gives a header, none, or that error."""
    data = PLAIN[:at] + noise + PLAIN[at + len(noise) :]
    try:
        found = read_main_header(reader(data), 0)
    except ValueError:
        return
    assert found is None or min(found.size) > 0


PLAIN = codestream(tile_size=(48, 32))

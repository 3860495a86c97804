"""Where the tiles of a JPEG 2000 codestream lie, and what becomes of them in another."""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.errors import SourceTooLarge
from iiif_server.imaging.readers import tile_parts
from iiif_server.imaging.readers.codestream import read_main_header
from iiif_server.imaging.readers.tile_parts import TiledCodestream, read_tile_parts
from tests.imaging.helpers import array
from tests.imaging.readers.test_codestream import codestream, reader

SOT = b"\xff\x90"
DATA = codestream(100, 80, tile_size=(48, 32))


def found_in(data: bytes, end: int | None = None) -> TiledCodestream | None:
    header = read_main_header(reader(data), 0)
    assert header is not None
    return read_tile_parts(reader(data), header, len(data) if end is None else end)


def tiles(data: bytes) -> TiledCodestream:
    found = found_in(data)
    assert found is not None
    return found


def test_every_tile_is_found() -> None:
    """One after the other, up to the marker of the end."""
    found = tiles(DATA)
    assert list(found.parts) == list(range(9))
    ends = [parts[0].end for parts in found.parts.values()]
    assert [parts[0].start for parts in found.parts.values()] == [found.header.end, *ends[:-1]]
    assert ends[-1] == len(DATA) - 2


@pytest.mark.parametrize("tail", [b"\xff\xd9", b""])
def test_a_last_part_without_length(tail: bytes) -> None:
    """Reaches up to the end, with or without its marker; alone it states its length."""
    last = tiles(DATA).parts[8][0]
    data = DATA[: last.start + 6] + bytes(4) + DATA[last.start + 10 : -2] + tail
    found = tiles(data)
    assert found.parts == tiles(DATA).parts
    excerpt = found.excerpt(reader(data), range(2, 3), range(2, 3), 1)
    assert tiles(excerpt.data).parts[0][0].end == len(excerpt.data) - 2


def test_an_excerpt_has_the_same_pixels() -> None:
    """Where it says that they are."""
    whole = array(DATA)
    excerpt = tiles(DATA).excerpt(reader(DATA), range(1, 3), range(2, 3), 1)
    assert (excerpt.x, excerpt.y, excerpt.width, excerpt.height) == (48, 64, 52, 16)
    assert (array(excerpt.data) == whole[64:, 48:]).all()


def test_an_excerpt_to_be_reduced_begins_at_0() -> None:
    """With room for the tiles that were left out; they count, but are not there."""
    data = codestream(200, 80, tile_size=(48, 32), num_resolutions=2, codeblock_size=(32, 32))
    found = tiles(data)
    assert found.header.across.unit == 64
    excerpt = found.excerpt(reader(data), range(3, 4), range(1), 2)
    assert (excerpt.x, excerpt.y, excerpt.width, excerpt.height) == (0, 0, 192, 32)
    excerpt = found.excerpt(reader(data), range(4, 5), range(1), 2)
    assert (excerpt.x, excerpt.width) == (96, 8)  # 192 is a multiple of 64, and of 48
    assert list(tiles(excerpt.data).parts) == [0]
    assert (array(excerpt.data) == array(data)[:32, 192:]).all()


def test_a_broken_chain_ends() -> None:
    """What was found before is there, what comes after is missing, and asking for that is an error."""
    fifth = tiles(DATA).parts[4][0].start
    for damage in (
        b"\xff\x91",
        SOT + b"\0\x0b",
        SOT + b"\0\x0a\0\x09",
        SOT + b"\0\x0a\0\4\0\0\0\x0d",
        SOT + b"\0\x0a\0\4\xff\xff\xff\xff",
    ):
        data = DATA[:fifth] + damage + DATA[fifth + len(damage) :]
        found = tiles(data)
        assert list(found.parts) == [0, 1, 2, 3]
        found.excerpt(reader(data), range(3), range(1), 1)
        with pytest.raises(ValueError, match="tile 1, 1 is missing or cut off"):
            found.excerpt(reader(data), range(3), range(1, 2), 1)


@given(st.integers(0, len(DATA)))
def test_a_file_that_is_cut_off(end: int) -> None:
    """Has the tiles that are complete."""
    whole = tiles(DATA)
    if end >= whole.header.end + len(SOT):  # the marker that ends the main header
        found = found_in(DATA[:end])
        assert found is not None
        assert found.parts == {tile: parts for tile, parts in whole.parts.items() if parts[0].end <= end}


@given(st.integers(0, len(DATA) - 1), st.binary(min_size=1, max_size=20))
def test_any_damage(at: int, noise: bytes) -> None:
    """No part lies outside of the file, and no two overlap."""
    header = read_main_header(reader(DATA), 0)
    assert header is not None
    data = (DATA[:at] + noise + DATA[at + len(noise) :])[: len(DATA)]
    found = read_tile_parts(reader(data), header, len(data))
    if found is None:
        return
    spans = sorted(part for parts in found.parts.values() for part in parts)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(header.end <= part.start < part.end <= len(data) for part in spans)


def test_a_file_that_became_shorter() -> None:
    """Between two looks at it."""
    found = tiles(DATA)
    with pytest.raises(ValueError, match="shorter"):
        found.excerpt(reader(DATA[: found.parts[4][0].start + 10]), range(1, 2), range(1, 2), 1)


@pytest.mark.parametrize("marker", [b"\xff\x52", b"\xff\x53"])
def test_a_tile_that_is_coded_in_its_own_way(marker: bytes) -> None:
    """Its levels may differ from the others': the image is left to who decodes it whole."""
    at = tiles(DATA).parts[4][0].start
    segment = marker + struct.pack(">H", 4) + b"\0\0"
    size = int.from_bytes(DATA[at + 6 : at + 10]) + len(segment)
    data = DATA[: at + 6] + struct.pack(">I", size) + DATA[at + 10 : at + 12] + segment + DATA[at + 12 :]
    assert found_in(data) is None


def test_too_many_parts(monkeypatch: Any) -> None:
    """Are not looked at."""
    monkeypatch.setattr(tile_parts, "_MAX_SEGMENTS", 8)
    assert found_in(DATA) is None
    monkeypatch.setattr(tile_parts, "_MAX_SEGMENTS", 10)
    assert found_in(DATA) is not None


def test_too_many_bytes(monkeypatch: Any) -> None:
    """Are not read at once."""
    found = tiles(DATA)
    size = found.parts[0][0].end - found.parts[0][0].start
    monkeypatch.setattr(tile_parts, "_MAX_BYTES", size)
    found.excerpt(reader(DATA), range(1), range(1), 1)
    with pytest.raises(SourceTooLarge):
        found.excerpt(reader(DATA), range(2), range(1), 1)


def test_packets_of_all_tiles_are_copied_once() -> None:
    """An excerpt of all tiles is the codestream, but for comments."""
    found = tiles(DATA)
    excerpt = found.excerpt(reader(DATA), range(3), range(3), 1)
    assert excerpt.data[-len(DATA) + found.header.end :] == DATA[found.header.end :]
    assert np.array_equal(array(excerpt.data), array(DATA))

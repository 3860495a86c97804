"""A tile becomes a whole JPEG file, or nothing."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.splice import shared_tables, whole_jpeg
from iiif_server.imaging.tiles import TileLevel
from tests.imaging.helpers import array, jpeg, picture

TILE = jpeg(picture(64, 48), subsampling=0)
EXIF = b"\xff\xe1\x00\x0eExif\0\0secret"
COMMENT = b"\xff\xfe\x00\x08secret"


def level(components: int = 3, *, is_rgb: bool = False, tables: bytes = b"") -> TileLevel:
    size = Dimensions(64, 48)
    return TileLevel(1, size, size, Dimensions(8, 8), components, is_rgb, tables, [0], [1])


def without_tables(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG as TIFF stores it: what all tiles share, and a tile."""
    tables, rest, at = b"", b"", 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] in {0xDB, 0xC4}:
            tables += data[at:end]
        elif data[at + 1] != 0xE0:
            rest += data[at:end]
        at = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + data[at:]


def test_tables_go_in_front() -> None:
    """And what comes out decodes to the same pixels."""
    tables, tile = without_tables(TILE)
    shared = shared_tables(tables)
    assert shared == tables[2:-2]
    made = whole_jpeg(level(tables=shared), tile)
    assert made is not None
    assert (array(made) == array(TILE)).all()


@pytest.mark.parametrize(
    "tables", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x90\xff\xd9", b"\xff\xd8\0\0\0\0\xff\xd9"]
)
def test_damaged_tables_are_none(tables: bytes) -> None:
    """Then nothing is copied."""
    assert shared_tables(tables) is None


def test_metadata_is_left_out() -> None:
    """Of the tile, and of what stands before the tables."""
    made = whole_jpeg(level(), TILE[:2] + EXIF + COMMENT + TILE[2:])
    assert made is not None
    assert b"secret" not in made
    assert (array(made) == array(TILE)).all()
    assert shared_tables(b"\xff\xd8" + EXIF + b"\xff\xd9") == b""


def test_the_file_says_what_the_colours_are() -> None:
    """Decoders guess where nothing does; the level's word counts more than the tile's."""
    plain = without_tables(TILE)
    shared = shared_tables(plain[0])
    assert shared is not None
    made = {
        is_rgb: whole_jpeg(level(is_rgb=is_rgb, tables=shared), plain[1]) or b"" for is_rgb in (True, False)
    }
    stored = array(Image.open(BytesIO(TILE)).convert("YCbCr"))
    assert b"Adobe" in made[True]
    assert b"JFIF" in made[False]
    assert (array(made[False]) == array(TILE)).all()
    assert abs(array(made[True]) - stored).max() <= 2  # the stored samples, unconverted
    adobe = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0"
    ycc, rgb = (plain[1][:2] + adobe + bytes([transform]) + plain[1][2:] for transform in (1, 0))
    assert whole_jpeg(level(tables=shared), ycc) == made[False]
    assert whole_jpeg(level(tables=shared), rgb) == made[True]


@pytest.mark.parametrize(
    ("of_level", "data"),
    [
        (level(), TILE[:-2]),
        (level(), TILE[:-1]),
        (level(), TILE[2:]),
        (level(), b""),
        (level(), b"\xff\xd8\xff\xd9"),
        (level(), TILE[:40] + b"\xff\xd9"),
        (level(1), TILE),
        (level(), jpeg(picture(64, 40))),
        (level(), jpeg(picture(72, 48))),
        (level(), jpeg(picture(64, 48, bands=1))),
        (level(), jpeg(picture(64, 48), progressive=True)),
    ],
)
def test_what_is_no_tile_of_this_level_is_none(of_level: TileLevel, data: bytes) -> None:
    """Cut short, of another size, of other components, in several scans."""
    assert whole_jpeg(of_level, data) is None


def test_bytes_that_fill_up_are_left_out() -> None:
    """Some writers round lengths up."""
    assert whole_jpeg(level(), TILE + b"\0\0\0") == whole_jpeg(level(), TILE)
    assert whole_jpeg(level(), memoryview(TILE)) == whole_jpeg(level(), TILE)


@given(st.integers(0, len(TILE) - 1), st.integers(0, 255), st.integers(0, len(TILE)))
def test_damage_raises_nothing(at: int, value: int, end: int) -> None:
    """Whatever a file has in place of a tile; and what comes out has the tile's size."""
    data = TILE[:at] + bytes([value]) + TILE[at + 1 :]
    for damaged in (data, data[:end], data[:end] + b"\xff\xd9"):
        made = whole_jpeg(level(), damaged)
        if made is not None:
            assert made.startswith(b"\xff\xd8")
            assert made.endswith(b"\xff\xd9")
        shared_tables(damaged)

"""An entry that is not exactly what was written is never handed out."""

from io import FileIO
from pathlib import Path

import pytest

from iiif_server.caches.derivative import FileSlice
from iiif_server.caches.entry import HEADER_BYTES, DamagedEntry, header, load
from tests.caches.helpers import body_of, key_of

KEY = key_of("image")
BODY = bytes(range(256)) * 2
WHOLE = header(KEY, BODY) + BODY
SMALL, LARGE = len(BODY), 10


def read(path: Path, data: bytes, small_bytes: int, key: str = KEY) -> bytes | None:
    path.write_bytes(data)
    with FileIO(path) as file:
        return body_of(load(file, key, small_bytes))


@pytest.mark.parametrize("small_bytes", [SMALL, LARGE])
def test_a_whole_entry_is_read_back(tmp_path: Path, small_bytes: int) -> None:
    assert read(tmp_path / "entry", WHOLE, small_bytes) == BODY


def test_an_empty_body_is_a_body(tmp_path: Path) -> None:
    assert read(tmp_path / "entry", header(KEY, b""), SMALL) == b""


def test_large_bodies_stay_in_the_open_file_and_small_ones_close_it(tmp_path: Path) -> None:
    path = tmp_path / "entry"
    path.write_bytes(WHOLE)
    with FileIO(path) as file:
        derivative = load(file, KEY, LARGE)
        assert derivative.body == FileSlice(file, HEADER_BYTES, len(BODY))
        assert not file.closed
        load(file, KEY, SMALL)
        assert file.closed


@pytest.mark.parametrize("small_bytes", [SMALL, LARGE])
def test_an_entry_torn_anywhere_is_damaged(tmp_path: Path, small_bytes: int) -> None:
    for length in [*range(HEADER_BYTES + 20), *range(HEADER_BYTES + 20, len(WHOLE), 17), len(WHOLE) - 1]:
        with pytest.raises(DamagedEntry):
            read(tmp_path / "entry", WHOLE[:length], small_bytes)


@pytest.mark.parametrize("small_bytes", [SMALL, LARGE])
def test_a_flipped_bit_anywhere_is_damage(tmp_path: Path, small_bytes: int) -> None:
    for bit in [*range((HEADER_BYTES + 1) * 8), len(WHOLE) * 4, len(WHOLE) * 8 - 1]:
        data = bytearray(WHOLE)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedEntry):
            read(tmp_path / "entry", bytes(data), small_bytes)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE + b"\0", id="a byte too many"),
        pytest.param(bytes(len(WHOLE)), id="nothing but zeros"),
        pytest.param(WHOLE[:HEADER_BYTES] + bytes(len(BODY)), id="a body of zeros, after a power failure"),
        pytest.param(header(key_of("another"), BODY) + BODY, id="another key's file"),
        pytest.param(b"\xff\xd8\xff\xe0" + BODY, id="a JPEG"),
    ],
)
@pytest.mark.parametrize("small_bytes", [SMALL, LARGE])
def test_other_damage(tmp_path: Path, data: bytes, small_bytes: int) -> None:
    with pytest.raises(DamagedEntry):
        read(tmp_path / "entry", data, small_bytes)

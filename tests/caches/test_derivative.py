"""What a cache hands out."""

from io import FileIO
from pathlib import Path

from iiif_server.caches.derivative import Derivative, FileSlice


def test_a_slice_reads_its_stretch_of_the_file_and_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"headbody!")
    piece = FileSlice(FileIO(path), 4, 4)
    with Derivative(piece, 4):
        assert piece.read() == b"body"
        assert piece.read() == b"body"
    assert piece.file.closed
    piece.close()


def test_the_last_of_several_users_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"body")
    piece = FileSlice(FileIO(path), 0, 4)
    derivative = Derivative(piece, 4)
    derivative.share()
    derivative.close()
    assert piece.read() == b"body"
    derivative.close()
    assert piece.file.closed


def test_a_slice_of_a_file_that_was_cut_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"headbo")
    with Derivative(FileSlice(FileIO(path), 4, 4), 4) as derivative:
        assert isinstance(derivative.body, FileSlice)
        assert derivative.body.read() == b"bo"


def test_bytes_need_no_closing() -> None:
    derivative = Derivative.of(b"body")
    derivative.close()
    assert (derivative.body, derivative.length) == (b"body", 4)

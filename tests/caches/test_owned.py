"""A directory is used only if it is one's own, or nobody's."""

import os
from pathlib import Path

import pytest

from iiif_server.caches.owned import LEAVES, MARKER, ForeignDirectory, OwnedDirectory


def owned(path: Path) -> OwnedDirectory:
    return OwnedDirectory(path, lambda name: name.endswith(".own"), ("list",))


def test_claiming_makes_the_directory_and_its_marker(tmp_path: Path) -> None:
    directory = owned(tmp_path / "below" / "cache")
    for _ in range(2):
        directory.claim()
        assert directory.is_claimed()
        assert [path.name for path in directory.path.iterdir()] == [MARKER]


def test_an_empty_directory_and_a_fresh_volume_are_claimed(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    owned(tmp_path).claim()
    assert (tmp_path / MARKER).is_file()


def test_a_marker_that_is_a_link_is_no_marker(tmp_path: Path) -> None:
    (tmp_path / MARKER).symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    with pytest.raises(ForeignDirectory):
        owned(tmp_path).claim()


@pytest.mark.parametrize("name", ["00", "notes.txt", "list.bak"])
def test_a_file_or_link_beside_the_leaves_is_foreign(tmp_path: Path, name: str) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    (root / name).symlink_to(tmp_path)
    with pytest.raises(ForeignDirectory):
        owned(root).claim()


def test_own_files_are_recognised_without_the_marker(tmp_path: Path) -> None:
    directory = owned(tmp_path)
    directory.make_leaf("07")
    (tmp_path / "07" / "a.own").touch()
    (tmp_path / "list").touch()
    (tmp_path / MARKER).unlink()
    directory.claim()
    (tmp_path / MARKER).unlink()
    (tmp_path / "07" / "original.tif").touch()
    with pytest.raises(ForeignDirectory):
        directory.claim()


def test_a_leaf_is_made_and_opened_and_never_through_a_link(tmp_path: Path) -> None:
    directory = owned(tmp_path / "cache")
    with pytest.raises(FileNotFoundError), directory.leaf("00"):
        pass
    for _ in range(2):
        directory.make_leaf("00")
    with directory.leaf("00") as fd:
        assert os.path.samestat(os.fstat(fd), (tmp_path / "cache" / "00").stat())
    (tmp_path / "cache" / "01").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError), directory.leaf("01"):
        pass


def test_the_leaves_spread_whatever_begins_with_two_digits() -> None:
    assert len(set(LEAVES)) == 256
    assert LEAVES[0x3F] == "3f"

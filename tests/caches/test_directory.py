"""The directory is claimed before it is used, and nothing foreign in it is touched."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iiif_server.caches.directory import STALE_SECONDS, CacheDirectory
from iiif_server.caches.owned import MARKER, ForeignDirectory
from iiif_server.caches.upkeep import DerivativeUpkeep, Selection, purge, survey
from tests.caches.helpers import entry_path, key_of, temporaries

KEY = key_of("image")


@pytest.fixture
def directory(tmp_path: Path) -> CacheDirectory:
    directory = CacheDirectory(tmp_path / "below" / "cache")
    directory.claim()
    return directory


def test_a_directory_with_somebody_elses_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "original.tif").write_bytes(b"the only copy")
    with pytest.raises(ForeignDirectory, match="Name an empty or a new directory"):
        CacheDirectory(tmp_path).claim()
    with pytest.raises(ForeignDirectory):
        purge(DerivativeUpkeep(CacheDirectory(tmp_path)), Selection())
    assert [path.name for path in tmp_path.iterdir()] == ["original.tif"]


def test_many_claim_at_once(tmp_path: Path) -> None:
    for number in range(20):
        directory = CacheDirectory(tmp_path / str(number))

        def claim_and_write(name: int, directory: CacheDirectory = directory) -> None:
            directory.claim()
            directory.write(key_of(name), b"body")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(claim_and_write, range(8)))
        assert survey(DerivativeUpkeep(directory))[0].entries == 8


def test_the_cache_recognises_its_own_files_when_the_marker_was_cleaned_away(
    directory: CacheDirectory,
) -> None:
    directory.write(KEY, b"body")
    (directory.path / MARKER).unlink()
    directory.claim()
    assert directory.is_claimed()
    (directory.path / MARKER).unlink()
    (directory.path / KEY[:2] / "notes.txt").touch()
    with pytest.raises(ForeignDirectory):
        directory.claim()


def test_an_entry_is_written_whole_and_replaced_whole(directory: CacheDirectory) -> None:
    directory.write(KEY, b"one", b"two")
    with directory.open(KEY) as file:
        directory.write(KEY, b"three")
        assert file.read() == b"onetwo"
    with directory.open(KEY) as file:
        assert file.read() == b"three"
    assert temporaries(directory.path) == []


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "A" * 40, "0" * 39, "0" * 41, "0" * 40 + "\n", "٣" * 40]
)
def test_what_is_no_key_names_no_file(directory: CacheDirectory, key: str) -> None:
    for use in (directory.open, directory.write, directory.remove):
        with pytest.raises(ValueError, match="not a derivative key"):
            use(key)


def test_a_leaf_that_is_a_link_is_never_followed(directory: CacheDirectory, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    treasure = outside / entry_path(directory.path, KEY).name
    treasure.write_bytes(b"the only copy")
    os.utime(treasure, (0, 0))
    (directory.path / KEY[:2]).symlink_to(outside)
    with pytest.raises(OSError, match="Not a directory"):
        directory.open(KEY)
    with pytest.raises(OSError, match="Not a directory"):
        directory.write(KEY, b"body")
    directory.remove(KEY)
    assert list(directory.look(KEY[:2])) == []
    assert purge(DerivativeUpkeep(directory), Selection()).entries == 0
    assert treasure.read_bytes() == b"the only copy"
    assert list(outside.iterdir()) == [treasure]


def test_an_entry_that_is_a_link_is_never_followed(directory: CacheDirectory, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"the only copy")
    entry = entry_path(directory.path, KEY)
    entry.parent.mkdir()
    entry.symlink_to(treasure)
    with pytest.raises(OSError, match="symbolic links"):
        directory.open(KEY)
    assert list(directory.look(KEY[:2])) == []
    directory.write(KEY, b"body")
    assert treasure.read_bytes() == b"the only copy"
    assert entry.read_bytes() == b"body"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_entry(directory: CacheDirectory, make: object) -> None:
    assert callable(make)
    entry = entry_path(directory.path, KEY)
    entry.parent.mkdir()
    make(entry)
    with pytest.raises(FileNotFoundError):
        directory.open(KEY)
    assert list(directory.look(KEY[:2])) == []


def test_only_the_caches_own_files_are_seen(directory: CacheDirectory) -> None:
    directory.write(KEY, b"body")
    leaf = directory.path / KEY[:2]
    for name in ("notes.txt", f"{KEY}.iiif.bak", f"{KEY.upper()}.iiif", f".{KEY}.tmp", ".hidden", f"{KEY}"):
        (leaf / name).write_bytes(b"somebody's")
    assert [found.name for found in directory.look(KEY[:2])] == [f"{KEY}.iiif"]
    assert purge(DerivativeUpkeep(directory), Selection()).entries == 1
    assert len(list(leaf.iterdir())) == 6
    assert (directory.path / MARKER).is_file()


def test_a_temporary_that_lost_its_writer_is_deleted_and_a_young_one_is_not(
    directory: CacheDirectory,
) -> None:
    directory.write(KEY, b"body")
    leaf = directory.path / KEY[:2]
    young, stale = (leaf / f".{KEY}.{digit * 16}.tmp" for digit in "01")
    foreign = leaf / f".{KEY}.short.tmp"
    for path in (young, stale, foreign):
        path.write_bytes(b"half")
    for path in (stale, foreign):
        os.utime(path, times=(time.time() - STALE_SECONDS - 1,) * 2)
    found = list(directory.look(KEY[:2]))
    assert {one.name: one.is_entry for one in found} == {young.name: False, f"{KEY}.iiif": True}
    assert sorted(leaf.iterdir()) == sorted([foreign, young, entry_path(directory.path, KEY)])


def test_files_of_the_first_format_are_the_caches_own_and_are_cleared_away(
    directory: CacheDirectory,
) -> None:
    """Their keys did not tell whose they are: they are misses, and go when their leaf is looked at."""
    directory.write(KEY, b"body")
    leaf = directory.path / KEY[:2]
    old = [leaf / f"{KEY[:40]}.iiif", leaf / f".{KEY[:40]}.{'0' * 16}.tmp"]
    for path in old:
        path.write_bytes(b"IIFC")
    (directory.path / MARKER).unlink()
    directory.claim()
    assert [found.name for found in directory.look(KEY[:2])] == [f"{KEY}.iiif"]
    assert [path for path in old if path.exists()] == []


def test_whether_it_is_there_is_told_without_making_or_claiming_it(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    assert not CacheDirectory(path).is_there()
    path.mkdir()
    assert CacheDirectory(path).is_there()
    assert list(path.iterdir()) == []
    (path / "original.tif").touch()
    with pytest.raises(ForeignDirectory, match="somebody else's"):
        CacheDirectory(path).is_there()
    (path / MARKER).touch()
    assert CacheDirectory(path).is_there()
    with pytest.raises(NotADirectoryError):
        CacheDirectory(path / "original.tif").is_there()


def test_nothing_is_removed_once_the_marker_is_gone(directory: CacheDirectory) -> None:
    directory.write(KEY, b"body")
    (directory.path / MARKER).unlink()
    directory.remove(KEY)
    assert entry_path(directory.path, KEY).is_file()

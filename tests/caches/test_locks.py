"""A file in use is known by its lock, and a lock on a file that was removed counts for nothing."""

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiif_server.caches.locks import create_locked, open_shared, remove, remove_unused


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_only_one_creates(folder: int, tmp_path: Path) -> None:
    fd = create_locked("file", folder)
    assert fd is not None
    assert create_locked("file", folder) is None
    os.write(fd, b"left by a dead process")
    os.close(fd)
    again = create_locked("file", folder)
    assert again is not None
    assert os.read(again, 100) == b"left by a dead process"
    os.close(again)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_many_who_create_and_remove_never_hold_the_same_file(folder: int) -> None:
    holders: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(300):
            fd = create_locked("file", folder)
            if fd is not None:
                holders.append(fd)
                most.append(len(holders))
                holders.remove(fd)
                remove("file", folder)
                os.close(fd)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_a_file_removed_between_opening_and_locking_is_made_anew(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    calls = 0

    def remove_first(fd: int, kind: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            (tmp_path / "file").unlink()
        flock(fd, kind)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    fd = create_locked("file", folder)
    assert fd is not None
    assert os.path.samestat(os.fstat(fd), (tmp_path / "file").stat())
    assert calls == 2
    os.close(fd)


def test_what_is_shared_is_not_removed(folder: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"body")
    one, other = open_shared("file", folder), open_shared("file", folder)
    assert one is not None
    assert other is not None
    assert not remove_unused("file", folder)
    os.close(one)
    assert not remove_unused("file", folder)
    os.close(other)
    assert remove_unused("file", folder)
    assert not remove_unused("file", folder)
    assert open_shared("file", folder) is None


def test_what_is_being_written_is_neither_shared_nor_removed(folder: int) -> None:
    fd = create_locked("file", folder)
    assert fd is not None
    assert open_shared("file", folder) is None
    assert not remove_unused("file", folder)
    os.close(fd)


def test_a_file_removed_between_opening_and_locking_is_not_lent(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"body")
    fstat = os.fstat

    def remove_first(fd: int) -> os.stat_result:
        (tmp_path / "file").unlink(missing_ok=True)
        return fstat(fd)

    monkeypatch.setattr(os, "fstat", remove_first)
    assert open_shared("file", folder) is None


def test_a_file_replaced_while_it_is_seized_stays(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "other").write_bytes(b"new")
    fstat = os.fstat

    def replace_first(fd: int) -> os.stat_result:
        if (tmp_path / "other").exists():
            (tmp_path / "other").rename(tmp_path / "file")
        return fstat(fd)

    monkeypatch.setattr(os, "fstat", replace_first)
    assert not remove_unused("file", folder)
    assert (tmp_path / "file").read_bytes() == b"new"


def test_links_and_pipes_are_refused(folder: int, tmp_path: Path) -> None:
    (tmp_path / "treasure").write_bytes(b"the only copy")
    (tmp_path / "link").symlink_to(tmp_path / "treasure")
    os.mkfifo(tmp_path / "pipe")
    for use in (create_locked, open_shared, remove_unused):
        with pytest.raises(OSError, match="symbolic links"):
            use("link", folder)
    with pytest.raises(OSError, match="not a regular file"):
        create_locked("pipe", folder)
    assert (tmp_path / "treasure").read_bytes() == b"the only copy"

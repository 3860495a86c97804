"""Temporary files are private, locked while they are used, and swept away when nobody uses them."""

import os
from pathlib import Path

import pytest

from iiif_server.caches.sources.overflow import Overflow, discard


def test_files_of_the_dead_go_and_those_of_the_living_stay(overflow: Path) -> None:
    temporary = Overflow(overflow)
    fd, path = temporary.create()
    dead_fd, dead = temporary.create()
    os.close(dead_fd)
    others = [
        overflow / name for name in ("iiif-server-1.source", f"iiif-server-{'0' * 16}.source.bak", "notes")
    ]
    for other in others:
        other.touch()
    link = overflow / f"iiif-server-{'0' * 16}.source"
    link.symlink_to(others[0])
    temporary.sweep()
    assert set(overflow.iterdir()) == {path, link, *others}
    assert not dead.exists()
    discard(fd, path)
    assert set(overflow.iterdir()) == {link, *others}


def test_somebody_elses_files_stay(overflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd, path = Overflow(overflow).create()
    os.close(fd)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    Overflow(overflow).sweep()
    assert path.exists()


def test_a_directory_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    Overflow(tmp_path / "missing").sweep()
    with pytest.raises(FileNotFoundError):
        Overflow(tmp_path / "missing").create()


def test_by_default_files_go_where_the_system_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fd, path = Overflow(None).create()
    assert path.parent == tmp_path
    discard(fd, path)
    assert list(tmp_path.iterdir()) == []

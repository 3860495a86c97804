"""Profiles whose images are files: what tells one version of a file from another."""

import os

import pytest

from iiif_server.api import FileProfile, Profile, file_version


def test_the_version_of_a_file_that_nobody_touched_stays(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(b"picture")
    first = file_version(path.stat())
    path.read_bytes()

    with path.open("rb") as file:
        assert file_version(os.fstat(file.fileno())) == first


def test_a_file_of_the_same_size_and_time_in_its_place_has_another_version(tmp_path):
    path, other = tmp_path / "image.png", tmp_path / "other.png"
    path.write_bytes(b"picture")
    first = path.stat()
    other.write_bytes(b"forgery")
    os.utime(other, ns=(first.st_atime_ns, first.st_mtime_ns))
    other.rename(path)

    assert path.stat().st_mtime_ns == first.st_mtime_ns
    assert file_version(path.stat()) != file_version(first)


def test_other_bytes_in_the_same_file_have_another_version(tmp_path):
    """Also if they are as many, and whoever wrote them put the time back: that of the change can't be."""
    path = tmp_path / "image.png"
    path.write_bytes(b"picture")
    first = path.stat()
    for _ in range(10_000):  # the clock of a file system goes in steps of milliseconds
        path.write_bytes(b"forgery")
        os.utime(path, ns=(first.st_atime_ns, first.st_mtime_ns))
        if path.stat().st_ctime_ns != first.st_ctime_ns:
            break

    assert (path.stat().st_mtime_ns, path.stat().st_size) == (first.st_mtime_ns, first.st_size)
    assert file_version(path.stat()) != file_version(first)


@pytest.mark.parametrize("cls", [Profile, FileProfile])
def test_a_subclass_may_have_private_names_of_its_own(cls):
    """None of an author's attributes is in the way of the server's, as one in a guide was."""
    private = [name for name in vars(cls) if name.startswith("_") and not name.startswith("__")]

    assert set(private) <= {"_abc_impl"}

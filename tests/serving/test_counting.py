"""A directory to count in: made for each server, and removed after it, however it ended."""

import fcntl
import logging
import os

import pytest

from iiif_server.serving import counting
from iiif_server.serving.counting import counting_directory, end_of_process


@pytest.fixture(autouse=True)
def warnings_are_logged(caplog):
    """Whatever an application of another test has set."""
    caplog.set_level(logging.WARNING, "iiif_server")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "_MEMORY", tmp_path)
    return tmp_path


def test_each_server_has_its_own_until_it_ends(place):
    with counting_directory() as first, counting_directory() as second:
        assert first is not None
        assert second is not None
        assert first != second
        assert {path.parent for path in (first, second)} == {place}

    assert list(place.iterdir()) == []


def test_what_a_killed_server_left_is_removed(place):
    abandoned = place / "iiif-server-counts-abc"
    abandoned.mkdir()
    (abandoned / "owner").touch()
    (abandoned / "counter_1.db").write_bytes(b"x")
    others = [place / "iiif-server-counts-file", place / "elsewhere"]
    for path in others:
        path.mkdir()
    with counting_directory() as directory:
        assert set(place.iterdir()) == {directory, *others}


def test_that_of_a_living_server_stays(place):
    living = place / "iiif-server-counts-abc"
    living.mkdir()
    owner = os.open(living / "owner", os.O_RDWR | os.O_CREAT)
    fcntl.flock(owner, fcntl.LOCK_EX)
    with counting_directory():
        pass
    os.close(owner)

    assert living.is_dir()


def test_without_a_place_each_process_counts_by_itself(place, monkeypatch, caplog):
    def fail(**_):
        raise OSError("read-only")

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    with counting_directory() as directory:
        assert directory is None

    assert "each process counts by itself" in caplog.text


def test_counts_that_are_lost_are_told(tmp_path, caplog):
    end_of_process(tmp_path / "gone", 1)

    assert "server process 1 has counted is lost" in caplog.text

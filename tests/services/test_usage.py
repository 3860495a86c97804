"""Files are counted, within the time that there is."""

import itertools
import os

import pytest

from iiif_server.services.usage import Usage, measure, pretty_size


@pytest.fixture
def trees(tmp_path):
    for name, count in (("a", 3), ("b", 5)):
        (tmp_path / name / "below" / "it").mkdir(parents=True)
        for number in range(count):
            (tmp_path / name / "below" / "it" / f"{number}.bin").write_bytes(bytes(100))
        (tmp_path / name / "top.bin").write_bytes(bytes(11))
    return tmp_path / "a", tmp_path / "b"


def test_files_below_are_counted(trees):
    assert measure(trees, 60) == {trees[0]: Usage(4, 311, True), trees[1]: Usage(6, 511, True)}


def test_what_is_not_there_has_no_files(tmp_path):
    assert measure([tmp_path / "nowhere"], 60) == {tmp_path / "nowhere": Usage(0, 0, True)}


def test_links_are_not_followed_and_nothing_but_files_counts(trees):
    first, second = trees
    (first / "loop").symlink_to(first)
    (first / "file").symlink_to(second / "top.bin")
    os.mkfifo(first / "fifo")

    assert measure([first], 60)[first] == Usage(4, 311, True)


def test_what_takes_too_long_is_not_complete_and_the_rest_has_its_share(trees):
    """Each look at the clock takes a second here, of which there are nine."""
    seconds = itertools.count()
    found = measure(trees, 9, clock=lambda: float(next(seconds)))

    assert [usage.complete for usage in found.values()] == [False, False]
    assert [usage.count for usage in found.values()] == [3, 2]


def test_it_ends_when_nobody_wants_it(trees):
    found = measure(trees, 60, is_unwanted=lambda: True)

    assert list(found.values()) == [Usage(0, 0, False)] * 2


def test_what_may_not_be_read_is_not_complete(trees, monkeypatch):
    """Root may read everything, so the refusal is made."""
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("below"):
            raise PermissionError(13, "no")
        return scandir(path)

    monkeypatch.setattr("iiif_server.services.usage.os.scandir", refuse)

    assert measure(trees[:1], 60)[trees[0]] == Usage(1, 11, False)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_610_612_736, "1.5 GiB"),
        (5 * 1024**5, "5120.0 TiB"),
    ],
)
def test_sizes_for_people(size, text):
    assert pretty_size(size) == text

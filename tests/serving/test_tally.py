"""Processes see how many connections the others have."""

import os
import subprocess
import sys
from array import array

import pytest

from iiif_server.serving.tally import Tally, tally_file
from tests.serving.helpers import tallies

PROGRAM = """\
import sys
from iiif_server.serving.tally import Tally
tally = Tally.shared(int(sys.argv[1]), 1)
tally.begin()
tally.add(3)
"""


@pytest.fixture
def three() -> list[Tally]:
    return tallies(3)


def test_processes_count_in_one_memory() -> None:
    with tally_file(3) as descriptor:
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(descriptor)], pass_fds=[descriptor], check=True, timeout=60
        )
        counts = array("i", os.pread(descriptor, 100, 0))
    assert (counts[0] < 0, counts[1], counts[2] < 0, len(counts)) == (True, 3, True, 3)


def test_whoever_has_more_than_another_is_ahead(three: list[Tally]) -> None:
    for tally in three:
        tally.begin()
    three[0].add(2)
    three[1].add(1)
    assert [tally.is_ahead() for tally in three] == [True, True, False]
    three[2].add(1)
    assert [tally.is_ahead() for tally in three] == [True, False, False]
    three[0].add(-1)
    assert [tally.is_ahead() for tally in three] == [False, False, False]


def test_only_those_count_that_take_connections(three: list[Tally]) -> None:
    """Neither one that has not begun, nor one whose last connections are closing."""
    three[0].begin()
    three[0].add(5)
    assert not three[0].is_ahead()
    three[1].begin()
    assert three[0].is_ahead()
    three[1].add(2)
    three[1].end()
    three[1].add(-2)
    assert not three[0].is_ahead()


def test_one_that_comes_again_begins_anew(three: list[Tally]) -> None:
    three[0].begin()
    three[0].add(7)
    three[1].begin()
    three[0].begin()
    assert not three[0].is_ahead()


def test_who_is_alone_is_never_ahead() -> None:
    alone = Tally.alone()
    alone.begin()
    alone.add(100)
    assert not alone.is_ahead()

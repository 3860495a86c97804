"""Who uses a cache is known without anybody having to say so, and the dead are not counted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiif_server.caches import roster
from iiif_server.caches.roster import ROSTER, UNKNOWN, Roster

USER = """
import sys, time
from pathlib import Path
from iiif_server.caches import roster
from iiif_server.caches.roster import Roster
Roster(Path(sys.argv[1])).enter()
print("here", flush=True)
time.sleep(60)
"""


@pytest.fixture
def others(tmp_path: Path) -> Iterator[list[Roster]]:
    rosters = [Roster(tmp_path) for _ in range(3)]
    yield rosters
    for one in rosters:
        one.leave()


def test_users_come_and_go(others: list[Roster]) -> None:
    first, second, third = others
    first.enter()
    first.enter()
    assert first.users == 1
    second.enter()
    third.enter()
    assert (first.users, second.users, third.users) == (1, 2, 3)
    assert first.count() == 3
    second.leave()
    second.leave()
    assert first.count() == 2


def test_a_killed_process_is_not_counted_and_leaves_nothing(others: list[Roster], tmp_path: Path) -> None:
    others[0].enter()
    command = [sys.executable, "-c", USER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert others[0].count() == 2
        process.kill()
        process.wait()
    assert others[0].count() == 1
    assert len(list((tmp_path / ROSTER).iterdir())) == 1


def test_newcomers_are_noticed_at_once_and_the_dead_soon(
    others: list[Roster], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = others
    first.enter()
    for number, other in enumerate((second, third), 2):
        time.sleep(0.02)  # the time of a directory is as fine as the system's clock ticks
        other.enter()
        first.notice()
        assert first.users == number
    counts = []
    monkeypatch.setattr(first, "count", lambda: counts.append(1))
    first.notice()  # third has come since second was counted
    monkeypatch.setattr(roster, "_COUNT_SECONDS", 0)
    first.notice()
    assert counts == [1]


def test_files_of_others_are_neither_counted_nor_touched(others: list[Roster], tmp_path: Path) -> None:
    others[0].enter()
    notes = tmp_path / ROSTER / "notes.txt"
    notes.write_text("mine")
    assert others[0].count() == 1
    assert notes.exists()


def test_who_was_cleaned_away_is_back_with_the_next_write(others: list[Roster], tmp_path: Path) -> None:
    first, second, _ = others
    first.enter()
    second.enter()
    for path in (tmp_path / ROSTER).iterdir():
        path.unlink()
    (tmp_path / ROSTER).rmdir()
    first.enter()
    assert first.users == 1
    second.enter()
    assert second.users == first.count() == 2


def test_where_nothing_can_be_kept_others_are_assumed(tmp_path: Path) -> None:
    (tmp_path / ROSTER).write_text("a file")
    roster = Roster(tmp_path)
    roster.enter()
    assert roster.count() == UNKNOWN
    assert (tmp_path / ROSTER).read_text() == "a file"

"""The budget holds, what is used least goes first, what is in use never goes, and nobody's rubbish stays."""

import os
import time
from pathlib import Path

import pytest

from iiif_server.caches.sources.directory import SourceDirectory, part_name
from iiif_server.caches.sources.keeper import Keeper
from iiif_server.caches.sources.ledger import LEDGER
from iiif_server.caches.sources.lender import Lender
from iiif_server.caches.sources.loan import Loan
from iiif_server.caches.sources.records import SourceRecord, key_digest
from iiif_server.caches.sources.room import Room
from tests.caches.sources.helpers import bytes_on_disk, leftovers, records, whole_files

MIB = 1 << 20
SIZE = 20_000
TAKES = 20_480 + 4096
"""With the description."""


class Files:
    """A room with a keeper and a lender, as one process has them."""

    def __init__(self, path: Path, max_bytes: int, unused_seconds: float | None = None) -> None:
        self.path = path
        self.directory = SourceDirectory(path)
        self.room = Room(self.directory, max_bytes, unused_seconds)
        self.lender = Lender(self.directory, self.room, touch_seconds=60)
        self.keeper = Keeper(self.directory, self.room, self.lender)

    def put(self, key: str, size: int = SIZE, used: float | None = None) -> bool:
        """Keep a source; tell whether there was room."""
        digest = key_digest(key)
        fd = self.keeper.begin(digest)
        assert fd is not None
        if not self.keeper.reserve(fd, digest, size):
            self.keeper.abandon(fd, digest)
            return False
        os.pwrite(fd, bytes(size), 0)
        loan = self.keeper.publish(fd, digest, SourceRecord(key=key, size=size, version="", checked=0))
        if used is not None:
            os.utime(loan.stored.path, (used, used))
        loan.close()
        return True

    def lend(self, key: str) -> Loan | None:
        return self.lender.find(key_digest(key), lambda _: True)

    def kept(self) -> set[str]:
        return {key for number in range(256) for key in self.lender.keys(f"{number:02x}")}


def test_what_is_written_never_exceeds_the_budget(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    for number in range(200):
        assert files.put(str(number))
        assert files.room.total_bytes == bytes_on_disk(tmp_path) <= MIB
    assert files.room.entries == len(records(tmp_path)) == len(whole_files(tmp_path)) > 30
    assert files.room.evicted == 200 - files.room.entries


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    now = time.time()
    for number in range(40):
        files.put(str(number), used=now - 10_000 + number)
    for number in (0, 1):  # a use is recorded
        loan = files.lend(str(number))
        assert loan is not None
        loan.close()
    for number in range(40, 50):
        files.put(str(number))
    kept = {int(key) for key in files.kept()}
    assert {0, 1} <= kept
    assert kept - {0, 1} == set(range(min(kept - {0, 1}), 50))


def test_what_is_lent_is_never_evicted(tmp_path: Path) -> None:
    files, others = Files(tmp_path, MIB), Files(tmp_path, MIB)
    for number in range(10):
        files.put(str(number), used=1000.0 + number)
    loans = [others.lend(str(number)) for number in range(10)]
    for number in range(10, 100):
        assert files.put(str(number))
    assert {str(number) for number in range(10)} <= files.kept()
    assert bytes_on_disk(tmp_path) <= MIB
    for loan in loans:
        assert loan is not None
        loan.close()


def test_when_all_is_in_use_there_is_no_room(tmp_path: Path) -> None:
    files = Files(tmp_path, 10 * TAKES)
    loans = []
    for number in range(10):
        assert files.put(str(number))
        loans.append(files.lend(str(number)))
    assert not files.put("more")
    assert bytes_on_disk(tmp_path) == 10 * TAKES
    assert loans[0] is not None
    loans[0].close()
    assert files.put("more")
    for loan in loans[1:]:
        assert loan is not None
        loan.close()


def test_what_is_too_large_a_part_is_refused_and_evicts_nothing(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    for number in range(20):
        files.put(str(number))
    assert not files.put("large", MIB // 2 + 1)
    assert files.room.evicted == 0
    assert files.put("half", MIB // 2)
    assert bytes_on_disk(tmp_path) <= MIB


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    before = Files(tmp_path, 16 * MIB)
    for number in range(100):
        before.put(str(number))
    files = Files(tmp_path, MIB)  # the operator lowered the budget
    files.put("next")
    assert files.room.total_bytes == bytes_on_disk(tmp_path) <= MIB


@pytest.mark.parametrize("damage", ["deleted", "zeros", "torn"])
def test_a_ledger_that_is_wrong_is_set_right(tmp_path: Path, damage: str) -> None:
    files = Files(tmp_path, MIB)
    for number in range(20):
        files.put(str(number))
    if damage == "deleted":
        (tmp_path / LEDGER).unlink()
    else:
        (tmp_path / LEDGER).write_bytes(bytes(4096 if damage == "zeros" else 100))
    again = Files(tmp_path, MIB)
    for number in range(256):
        again.room.sweep(f"{number:02x}")
    assert again.room.total_bytes == bytes_on_disk(tmp_path) == 20 * TAKES
    assert again.room.entries == 20


def test_deleting_by_hand_is_noticed_when_room_is_needed(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    for number in range(40):
        files.put(str(number))
    for path in whole_files(tmp_path)[:30]:
        path.unlink()
    for number in range(40, 45):
        files.put(str(number))
    assert files.room.evicted == 0
    assert files.room.total_bytes == bytes_on_disk(tmp_path)
    assert len(records(tmp_path)) == 15


def test_an_unused_source_goes_and_a_used_one_stays(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB, unused_seconds=100)
    now = time.time()
    for key, age in (("young", 50), ("old", 200), ("lent", 200), ("used", 200)):
        files.put(key, used=now - age)
    lent, used = files.lend("lent"), files.lend("used")
    assert lent is not None
    assert used is not None
    os.utime(lent.stored.path, (now - 200, now - 200))
    used.close()
    for number in range(256):
        files.room.sweep(f"{number:02x}")
    assert files.kept() == {"young", "lent", "used"}
    assert files.room.total_bytes == bytes_on_disk(tmp_path)
    lent.close()


def test_a_sweep_removes_what_belongs_to_nobody(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    for key in ("whole", "without source", "without record"):
        files.put(key)
    paths = {
        key: path for key in files.kept() for path in whole_files(tmp_path) if key_digest(key) in path.name
    }
    paths["without source"].unlink()
    records_of = {key: path.with_name(f"{key_digest(key)}.json") for key, path in paths.items()}
    records_of["without record"].unlink()
    leaf = paths["whole"].parent
    digest = key_digest("whole")
    (leaf / f"{digest}.{'0' * 16}.source").write_bytes(b"replaced while it was lent")
    (leaf / f".{digest}.draft").write_bytes(b"half")
    (leaf / f".{digest}.part").write_bytes(b"its writer is dead")
    foreign = [
        leaf / name for name in ("notes.txt", f"{digest}.sourcE", f"{digest}.json.bak", f".{digest}.tmp")
    ]
    for path in foreign:
        path.write_bytes(b"somebody's")
    fd = files.keeper.begin(key_digest("living"))
    assert fd is not None
    for number in range(256):
        files.room.sweep(f"{number:02x}")
    assert files.kept() == {"whole"}
    assert set(leftovers(tmp_path)) == {
        *foreign,
        tmp_path / key_digest("living")[:2] / part_name(key_digest("living")),
    }
    assert files.room.total_bytes == TAKES
    files.keeper.abandon(fd, key_digest("living"))
    assert set(leftovers(tmp_path)) == set(foreign)


def test_of_two_sources_the_description_tells_which_is_right(tmp_path: Path) -> None:
    files = Files(tmp_path, MIB)
    files.put("key")
    (path,) = whole_files(tmp_path)
    for serial in ("0" * 16, "f" * 16):
        path.with_name(f"{key_digest('key')}.{serial}.source").write_bytes(b"left by a killed process")
    files.room.sweep(key_digest("key")[:2])
    assert whole_files(tmp_path) == [path]


def test_a_reservation_is_counted_by_everybody(tmp_path: Path) -> None:
    one, other = Files(tmp_path, MIB), Files(tmp_path, MIB)
    digest = key_digest("slow")
    fd = one.keeper.begin(digest)
    assert fd is not None
    assert one.keeper.reserve(fd, digest, MIB // 2)
    for number in range(60):
        assert other.put(str(number))
        assert bytes_on_disk(tmp_path) <= MIB
    other.room.sweep(digest[:2])
    assert other.room.total_bytes == bytes_on_disk(tmp_path) > MIB // 2
    one.keeper.abandon(fd, digest)
    assert one.room.total_bytes == bytes_on_disk(tmp_path) <= MIB // 2

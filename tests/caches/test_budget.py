"""The budget holds for each group of leaves, and so for the whole."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiif_server.caches.budget import BLOCK, Budget, on_disk
from iiif_server.caches.directory import CacheDirectory, Found
from tests.caches.helpers import bytes_below, entry_path, key_of

MIB = 1 << 20
SIZE = 20_000


@pytest.fixture
def directory(tmp_path: Path) -> CacheDirectory:
    directory = CacheDirectory(tmp_path)
    directory.claim()
    return directory


def put(budget: Budget, directory: CacheDirectory, name: object, size: int = SIZE) -> bool:
    if not budget.make_room(key_of(name), size):
        return False
    directory.write(key_of(name), bytes(size))
    return True


@pytest.mark.parametrize(
    ("max_bytes", "share"),
    [(1, 1), (64, 64), (127, 127), (128, 64), (1024, 64), (1_024_000, 4000)],
)
def test_a_group_has_no_less_than_its_least_share(
    directory: CacheDirectory, max_bytes: int, share: int
) -> None:
    assert Budget(directory, max_bytes * MIB, lambda: 2, 64 * MIB).share == share * MIB


def test_each_leaf_is_in_one_group(directory: CacheDirectory) -> None:
    budget = Budget(directory, 1024 * MIB, lambda: 2, 64 * MIB)
    leaves = [leaf for group in budget._groups for leaf in group.leaves]
    assert leaves == [f"{number:02x}" for number in range(256)]
    for number in range(256):
        budget.make_room(f"{number:02x}" + "0" * 38, 1)
    assert all(group.total == 16 * BLOCK for group in budget._groups)


def test_files_count_in_blocks() -> None:
    assert [on_disk(size) for size in (0, 1, BLOCK, BLOCK + 1)] == [0, BLOCK, BLOCK, 2 * BLOCK]


def test_what_is_written_never_exceeds_the_budget(directory: CacheDirectory, tmp_path: Path) -> None:
    budget = Budget(directory, 2 * MIB, lambda: 1, 64 * MIB)
    for number in range(400):
        assert put(budget, directory, number)
        assert bytes_below(tmp_path) <= 2 * MIB
    assert bytes_below(tmp_path) > 1.6 * MIB
    assert budget.evicted > 250


def test_groups_are_kept_one_by_one(directory: CacheDirectory, tmp_path: Path) -> None:
    budget = Budget(directory, 4 * MIB, lambda: 1, MIB)
    assert budget.share == MIB
    for number in range(600):
        put(budget, directory, number)
    assert 3.2 * MIB < bytes_below(tmp_path) <= 4 * MIB


def test_the_least_recently_used_go_first(directory: CacheDirectory, tmp_path: Path) -> None:
    budget = Budget(directory, MIB, lambda: 1, 64 * MIB)
    now = time.time()
    for number in range(40):
        put(budget, directory, number)
        os.utime(entry_path(tmp_path, key_of(number)), times=(now - 1000 + number,) * 2)
    os.utime(entry_path(tmp_path, key_of(0)))
    for number in range(40, 50):
        put(budget, directory, number)
    kept = {number for number in range(50) if entry_path(tmp_path, key_of(number)).exists()}
    assert 0 in kept
    assert kept - {0} == set(range(min(kept - {0}), 50))


def test_what_is_too_large_a_part_is_not_kept(directory: CacheDirectory) -> None:
    budget = Budget(directory, 8 * MIB, lambda: 1, 64 * MIB)
    assert put(budget, directory, "fits", MIB)
    assert not put(budget, directory, "too large", MIB + 1)


def test_what_was_there_before_counts(directory: CacheDirectory, tmp_path: Path) -> None:
    before = Budget(directory, 16 * MIB, lambda: 1, 64 * MIB)
    for number in range(300):
        put(before, directory, number)
    # The operator lowered the budget and started again.
    budget = Budget(directory, MIB, lambda: 1, 64 * MIB)
    put(budget, directory, "next")
    assert bytes_below(tmp_path) <= MIB


def test_two_that_do_not_know_of_each_other_stay_within_the_bound(
    directory: CacheDirectory, tmp_path: Path
) -> None:
    budgets = [Budget(directory, 4 * MIB, lambda: 2, 64 * MIB) for _ in range(2)]
    highest = 0
    for number in range(400):
        put(budgets[number % 7 == 0], directory, number)
        highest = max(highest, bytes_below(tmp_path))
    assert highest <= 1.1 * 4 * MIB


def test_abandoned_temporaries_count_and_are_never_victims(directory: CacheDirectory, tmp_path: Path) -> None:
    budget = Budget(directory, MIB, lambda: 1, 64 * MIB)
    leaf = tmp_path / "00"
    leaf.mkdir()
    temporary = leaf / f".{'0' * 64}.{'0' * 16}.tmp"
    temporary.write_bytes(bytes(MIB // 2))
    for number in range(100):
        put(budget, directory, number)
        assert bytes_below(tmp_path) <= MIB
    assert temporary.exists()


def test_foreign_files_neither_count_nor_go(directory: CacheDirectory, tmp_path: Path) -> None:
    budget = Budget(directory, MIB, lambda: 1, 64 * MIB)
    put(budget, directory, "first")
    foreign = tmp_path / key_of("first")[:2] / "notes.txt"
    foreign.write_bytes(bytes(3 * MIB))
    os.utime(foreign, (0, 0))
    for number in range(100):
        put(budget, directory, number)
    assert foreign.exists()
    assert bytes_below(tmp_path) > 3.5 * MIB


def test_a_group_is_looked_at_now_and_then_only(
    directory: CacheDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look = directory.look

    def counting(leaf: str) -> Iterator[Found]:
        looks.append(leaf)
        return look(leaf)

    monkeypatch.setattr(directory, "look", counting)
    budget = Budget(directory, 64 * MIB, lambda: 2, 64 * MIB)
    for number in range(100):
        put(budget, directory, number)
    # 2 MB written: one look at the start, none before 5 % of the share is written.
    assert len(looks) == 256

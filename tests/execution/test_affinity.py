"""Sources stick to workers, evenly and lastingly."""

from collections import Counter

from iiif_server.execution.affinity import rank_slots


def test_the_ranking_is_the_same_in_every_process() -> None:
    assert rank_slots("herbarium/sheet 1.jp2", 4) == (3, 1, 2, 0)


def test_every_slot_is_ranked_once() -> None:
    assert sorted(rank_slots("any", 16)) == list(range(16))


def test_keys_spread_evenly() -> None:
    found = Counter(rank_slots(f"image {n}", 4)[0] for n in range(4000))
    assert all(800 < count < 1200 for count in found.values())


def test_one_more_slot_moves_only_the_keys_it_takes() -> None:
    moved = [
        rank_slots(str(n), 5)[0] for n in range(1000) if rank_slots(str(n), 4)[0] != rank_slots(str(n), 5)[0]
    ]
    assert set(moved) == {4}
    assert 120 < len(moved) < 280


def test_a_name_that_is_not_unicode_is_a_key_too() -> None:
    assert rank_slots("caf\udce9", 2)

"""The memory tier stays within its bytes and forgets the least recently used first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.caches.memory import ENTRY_OVERHEAD, MemoryCache

ENTRY = 1000 + ENTRY_OVERHEAD


def test_a_body_is_found_until_it_is_replaced() -> None:
    cache = MemoryCache(100 * ENTRY)
    cache.put("key", b"old")
    cache.put("key", b"new")
    assert cache.get("key") == b"new"
    assert cache.get("other") is None
    assert cache.statistics() == {
        "hits": 1,
        "misses": 1,
        "entries": 1,
        "bytes": 3 + ENTRY_OVERHEAD,
        "max_bytes": 100 * ENTRY,
    }


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(10 * ENTRY)
    for number in range(10):
        cache.put(str(number), bytes(1000))
    cache.get("0")
    cache.put("10", bytes(1000))
    assert cache.get("0") is not None
    assert cache.get("1") is None
    assert len(cache) == 10


def test_a_second_look_counts_nothing() -> None:
    cache = MemoryCache(100 * ENTRY)
    cache.put("key", b"body")
    assert cache.peek("key") == b"body"
    assert cache.peek("other") is None
    assert (cache.statistics()["hits"], cache.statistics()["misses"]) == (0, 0)


def test_what_would_push_out_too_much_is_not_kept() -> None:
    cache = MemoryCache(10 * ENTRY)
    cache.put("key", b"small")
    cache.put("key", bytes(2 * ENTRY))
    assert cache.get("key") is None
    assert cache.statistics()["bytes"] == 0


def test_no_budget_keeps_nothing() -> None:
    cache = MemoryCache(0)
    cache.put("key", b"")
    assert len(cache) == 0


class Body(bytes):
    """One whose end can be seen: what derives from bytes has no weak references."""

    ends = 0

    def __del__(self) -> None:
        Body.ends += 1


@pytest.mark.parametrize("forget", ["pushed out", "replaced", "cleared"])
def test_what_is_forgotten_is_freed(forget: str) -> None:
    cache, before = MemoryCache(10 * ENTRY), Body.ends
    cache.put("key", Body(b"body"))
    assert Body.ends == before
    if forget == "pushed out":
        for number in range(20):
            cache.put(str(number), bytes(1000))
    elif forget == "replaced":
        cache.put("key", b"other")
    else:
        cache.clear()
    assert Body.ends == before + 1


def test_clear_forgets_everything() -> None:
    cache = MemoryCache(10 * ENTRY)
    cache.put("key", b"body")
    cache.clear()
    assert (len(cache), cache.statistics()["bytes"]) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_the_count_of_bytes_is_exact_and_bounded(puts: list[tuple[int, int]]) -> None:
    cache = MemoryCache(10 * ENTRY)
    for number, size in puts:
        cache.put(str(number), bytes(size))
        kept = [body for key in range(21) if (body := cache.peek(str(key))) is not None]
        assert cache.statistics()["bytes"] == sum(len(body) + ENTRY_OVERHEAD for body in kept)
        assert cache.statistics()["bytes"] <= cache.max_bytes

"""What is young may be lent at once; after some waiting, whatever is new may be."""

from iiif_server.caches.sources.freshness import Freshness
from iiif_server.caches.sources.records import SourceRecord


def checked_at(seconds: float) -> SourceRecord:
    return SourceRecord(key="key", size=1, version="1", checked=seconds)


def test_age_is_counted_from_the_last_check() -> None:
    freshness = Freshness(10, lambda: 100.0)
    assert freshness.is_young(checked_at(100))
    assert freshness.is_young(checked_at(90.5))
    assert not freshness.is_young(checked_at(90))
    assert not freshness.is_young(checked_at(100.5))  # the clock was put back


def test_any_age_will_do_or_none() -> None:
    assert Freshness(None, lambda: 100.0).is_young(checked_at(-1e9))
    assert not Freshness(0, lambda: 100.0).is_young(checked_at(100))


def test_after_waiting_what_was_checked_meanwhile_will_do() -> None:
    freshness = Freshness(0, lambda: 100.0)
    assert not freshness.is_young(checked_at(90))
    assert not freshness.is_fresh(checked_at(90))
    assert freshness.is_fresh(checked_at(99))


def test_after_waiting_what_was_not_there_before_will_do() -> None:
    assert Freshness(0, lambda: 100.0).is_fresh(checked_at(99))

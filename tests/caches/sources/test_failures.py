"""A failure is remembered for a moment, and then not even its traceback."""

import gc
import weakref

import pytest

from iiif_server.caches.sources.failures import Failures
from tests.caches.sources.helpers import until


class Ballast:
    """What a fetch had in memory."""


async def test_a_failure_is_raised_anew_until_it_is_forgotten() -> None:
    failures = Failures(5)
    failures.note("key", KeyError("why"))
    for _ in range(3):
        with pytest.raises(KeyError, match="why") as raised:
            failures.check("key")
        assert len(raised.traceback) == 2
    failures.check("other")
    failures.forget("key")
    failures.check("key")
    failures.forget("key")


async def test_after_its_time_nothing_is_left_of_it() -> None:
    failures = Failures(0.01)

    def fail() -> weakref.ref[Ballast]:
        ballast = Ballast()
        reference = weakref.ref(ballast)
        try:
            raise KeyError("why")
        except KeyError as error:
            failures.note("key", error)
        return reference

    reference = fail()
    await until(lambda: gc.collect() >= 0 and reference() is None)
    failures.check("key")


async def test_a_later_failure_has_its_own_time() -> None:
    failures = Failures(0.02)
    failures.note("key", KeyError("first"))
    failures._ttl = 5
    failures.note("key", KeyError("second"))
    failures._drop("key", KeyError("first"))
    with pytest.raises(KeyError, match="second"):
        failures.check("key")


async def test_without_a_time_nothing_is_remembered() -> None:
    failures = Failures(0)
    failures.note("key", KeyError("why"))
    failures.check("key")


async def test_the_memory_is_bounded() -> None:
    failures = Failures(1)
    for number in range(3000):
        failures.note(str(number), KeyError(number))
    assert len(failures._known) == 1000


@pytest.mark.parametrize("seconds", [-1, 5.1, float("nan")])
def test_a_failure_is_not_remembered_for_long(seconds: float) -> None:
    with pytest.raises(ValueError, match="failure_ttl"):
        Failures(seconds)

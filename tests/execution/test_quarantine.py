"""What kills workers again and again is refused for a while."""

import pytest

from iiif_server.errors import SourceSetAside
from iiif_server.execution.quarantine import Quarantine


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quarantine(clock: Clock) -> Quarantine:
    return Quarantine(strikes=2, seconds=300, clock=clock)


def test_one_strike_is_an_accident(quarantine: Quarantine) -> None:
    assert not quarantine.strike("a")
    quarantine.check("a")
    assert quarantine.count() == 0


def test_two_strikes_set_aside_and_tell_for_how_long(quarantine: Quarantine, clock: Clock) -> None:
    quarantine.strike("/secret/a")
    assert quarantine.strike("/secret/a")
    clock.now += 100.5
    with pytest.raises(SourceSetAside) as caught:
        quarantine.check("/secret/a")
    assert caught.value.retry_after == 200
    assert caught.value.status == 503
    assert "secret" not in caught.value.public
    assert quarantine.count() == 1


def test_other_sources_pass(quarantine: Quarantine) -> None:
    quarantine.strike("a", 2)
    quarantine.check("b")


def test_time_heals(quarantine: Quarantine, clock: Clock) -> None:
    quarantine.strike("a", 2)
    clock.now += 300
    assert quarantine.count() == 0
    quarantine.check("a")
    assert not quarantine.strike("a")


def test_work_without_a_source_is_never_set_aside(quarantine: Quarantine) -> None:
    assert not quarantine.strike("", 5)
    quarantine.check("")


def test_it_remembers_no_more_than_a_few_thousand_sources(quarantine: Quarantine) -> None:
    for n in range(10_000):
        quarantine.strike(f"image {n}", 2)
    assert quarantine.count() == 4096
    quarantine.check("image 0")

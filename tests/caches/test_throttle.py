"""A lasting failure writes one line a minute."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from iiif_server.caches.throttle import ThrottledLog


def test_one_line_per_interval_with_the_count_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    log = ThrottledLog(logging.getLogger("test"), interval=60, clock=lambda: now)
    for _ in range(500):
        log.log(logging.WARNING, "disk full: 100 %")
    now += 59
    log.log(logging.WARNING, "disk full")
    assert caplog.messages == ["disk full: 100 %"]
    now += 2
    log.log(logging.ERROR, "still full")
    assert caplog.messages[1:] == ["still full (500 similar messages suppressed)"]
    now += 61
    log.log(logging.WARNING, "again")
    assert caplog.messages[2:] == ["again"]


def test_a_line_that_is_left_out_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    made: list[str] = []

    def line() -> str:
        made.append("line")
        return "refused"

    log = ThrottledLog(logging.getLogger("test"), interval=60, clock=lambda: 1000.0)
    for _ in range(5):
        log.log(logging.WARNING, line)
    assert caplog.messages == ["refused"]
    assert made == ["line"]


def test_what_comes_while_a_line_is_written_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is met by several threads at once."""

    def meanwhile() -> str:
        with ThreadPoolExecutor(1) as another:
            another.submit(log.log, logging.WARNING, "disk full").result(10)
        return "disk full"

    log = ThrottledLog(logging.getLogger("test"), interval=60, clock=lambda: 1000.0)
    log.log(logging.WARNING, meanwhile)
    assert caplog.messages == ["disk full"]

"""Readiness: what keeps requests away, and what is only worth a warning."""

import pytest

from iiif_server.services.monitor import Monitor, Readiness, readiness

POOL = {"workers": 2, "ready": 2, "waiting": 0, "capacity": 40}


def judged(pool=(), disk=(), *, is_stopping=False):
    return readiness({"pool": POOL | dict(pool), "disk": dict(disk)}, is_stopping=is_stopping)


def test_all_is_well():
    assert judged() == Readiness()
    assert judged().to_json() == {"status": "ready", "reasons": [], "warnings": []}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (judged({"ready": 0}), "No worker process is alive."),
        (judged(is_stopping=True), "The server is shutting down."),
    ],
)
def test_reasons_not_to_send_requests(found, reason):
    assert not found.is_ready
    assert found.to_json() == {"status": "not ready", "reasons": [reason], "warnings": []}


@pytest.mark.parametrize(
    ("found", "warning"),
    [
        (judged({"ready": 1}), "1 of 2 worker processes are alive."),
        (judged({"waiting": 40}), "The queue of image work is full."),
        (judged(disk={"failing": 1}), "The disk cache can't be written; the log says why."),
    ],
)
def test_what_costs_speed_is_a_warning(found, warning):
    assert found.is_ready
    assert found.warnings == (warning,)


def test_it_reads_off_what_the_parts_count_at_that_moment():
    pool = dict(POOL)
    monitor = Monitor({"pool": lambda: pool}, lambda: {"memory": {"hits": 3}, "store": {"failing": 0}})

    assert monitor.statistics() == {"pool": POOL, "memory": {"hits": 3}, "disk": {"failing": 0}}
    assert monitor.readiness().is_ready
    pool["ready"] = 0
    assert not monitor.readiness().is_ready
    pool["ready"] = 2
    monitor.stop()
    assert monitor.readiness().reasons == ("The server is shutting down.",)

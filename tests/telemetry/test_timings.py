"""What is noted of a request reaches the request, whoever notes it."""

import asyncio
import re

import pytest

from iiif_server.telemetry.timings import (
    CURRENT,
    Step,
    Tier,
    Trace,
    clean_request_id,
    new_request_id,
    note_answer,
    server_timing,
)


@pytest.fixture
def trace():
    trace = Trace("id")
    token = CURRENT.set(trace)
    yield trace
    CURRENT.reset(token)


async def test_steps_are_noted_in_order_and_add_up(trace):
    for name in ("info", "cache", "info"):
        with Step(name):
            await asyncio.sleep(0.01)

    assert list(trace.steps) == ["info", "cache"]
    assert trace.steps["info"] > trace.steps["cache"] > 0
    assert trace.elapsed() >= sum(trace.steps.values())


def test_a_step_that_fails_is_noted(trace):
    with pytest.raises(LookupError), Step("info"):
        raise LookupError

    assert "info" in trace.steps


def test_without_a_request_nothing_is_noted():
    assert CURRENT.get() is None
    with Step("info"):
        note_answer(Tier.DISK, {"decode": 1.0})


async def test_tasks_of_a_request_note_for_it_and_no_other():
    async def request(name):
        trace = Trace(name)
        CURRENT.set(trace)
        await asyncio.sleep(0)

        async def work():
            note_answer(Tier.WORKER, {name: 1.0})

        await asyncio.create_task(work())
        return trace

    first, second = await asyncio.gather(
        *(asyncio.create_task(request(name)) for name in ("first", "second"))
    )

    assert (first.steps, second.steps) == ({"first": 1.0}, {"second": 1.0})
    assert CURRENT.get() is None


def test_server_timing_is_in_milliseconds():
    """W3C Server Timing: names with ``dur`` and ``desc``, separated by commas."""
    trace = Trace("id")
    trace.steps = {"info": 0.0012, "decode": 2.5}
    trace.tier = Tier.WORKER
    *parts, total = server_timing(trace).split(", ")

    assert parts == ["info;dur=1.200", "decode;dur=2500.000", 'from;desc="worker"']
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", total)


def test_ids_of_requests_differ():
    ids = {new_request_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", request_id) for request_id in ids)
    assert all(clean_request_id(request_id) == request_id for request_id in ids)


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("Root=1-67891233-abcdef012345678912345678", "Root=1-67891233-abcdef012345678912345678"),
        ("a\r\nSet-Cookie: b", "aSet-Cookie:b"),
        ("\x1b[31mred", "31mred"),
        ('{"a": "b"}', "a:b"),
        ("ünï", "n"),
        ("١٢", ""),
        (" ", ""),
        ("x" * 1000, "x" * 128),
    ],
)
def test_foreign_ids_are_cleaned(given, cleaned):
    assert clean_request_id(given) == cleaned

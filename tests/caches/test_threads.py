"""File work in threads: what nobody waits for any more is taken care of."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from iiif_server.caches.threads import Threads
from iiif_server.errors import ServerBusy
from tests.caches.sources.helpers import until


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(2, "test")
    yield threads
    await threads.close()


async def test_work_is_done_elsewhere(threads: Threads) -> None:
    assert await threads.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)


@pytest.mark.parametrize("result", ["result", None])
async def test_a_result_that_nobody_waits_for_is_handed_over(threads: Threads, result: str | None) -> None:
    started, go_on = threading.Event(), threading.Event()
    unwanted: list[tuple[str, int]] = []

    def work() -> str | None:
        started.set()
        go_on.wait()
        return result

    task = asyncio.create_task(
        threads.run(work, unwanted=lambda found: unwanted.append((found, threading.get_ident())))
    )
    await until(started.is_set)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    go_on.set()
    await threads.close()
    assert [found for found, _ in unwanted] == ([] if result is None else ["result"])
    assert threading.get_ident() not in [thread for _, thread in unwanted]


async def test_a_result_that_comes_with_the_cancellation_is_handed_over_too(threads: Threads) -> None:
    unwanted: list[int] = []
    begun = threading.Event()

    def work() -> str:
        begun.set()
        return "result"

    def take(_: str) -> None:
        unwanted.append(threading.get_ident())

    task = asyncio.create_task(threads.run(work, unwanted=take))
    await asyncio.sleep(0)
    begun.wait(10)
    time.sleep(0.05)  # the function has ended, and the event loop has not heard of it yet
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    await threads.close()
    assert len(unwanted) == 1
    assert unwanted != [threading.get_ident()]


async def test_a_result_that_was_told_but_not_taken_is_handed_over_too(threads: Threads) -> None:
    """Its caller was cancelled in the turn of the event loop in which it would have gone on."""
    unwanted: list[str] = []
    task = asyncio.create_task(threads.run(lambda: "result", unwanted=unwanted.append))
    told = threads._told

    def tell_and_cancel(work: Any) -> None:
        told(work)
        task.cancel()

    threads._told = tell_and_cancel  # type: ignore[method-assign]
    await asyncio.wait((task,))
    assert task.cancelled()
    await threads.close()
    assert unwanted == ["result"]


async def test_what_fails_to_take_a_result_is_logged_and_hurts_nobody(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return go_on.wait()

    task = asyncio.create_task(threads.run(work, unwanted=lambda _: 1 / 0))
    await until(started.is_set)
    task.cancel()
    await asyncio.wait((task,))
    go_on.set()
    assert await threads.run(lambda: "fine") == "fine"
    await threads.close()
    assert caplog.messages == ["clearing up after a source failed"]


async def test_work_that_was_not_begun_is_not_done_for_nobody(threads: Threads) -> None:
    go_on = threading.Event()
    calls: list[int] = []
    busy = [asyncio.create_task(threads.run(go_on.wait)) for _ in range(2)]
    waiting = asyncio.create_task(threads.run(calls.append, 1))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait((waiting,))
    go_on.set()
    await asyncio.gather(*busy)
    await threads.close()
    assert calls == []


async def test_closing_finishes_what_was_left_for_later(threads: Threads) -> None:
    calls: list[int] = []
    for number in range(100):
        threads.later(calls.append, number)
    await threads.close()
    assert sorted(calls) == list(range(100))
    threads.later(calls.append, 100)
    assert calls[-1] == 100
    with pytest.raises(ServerBusy):
        await threads.run(int)


async def test_what_fails_later_is_logged(threads: Threads, caplog: pytest.LogCaptureFixture) -> None:
    threads.later(divmod, 1, 0)
    await threads.close()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "ZeroDivisionError" in caplog.text

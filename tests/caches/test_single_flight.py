"""One computation for all who wait, whoever leaves."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NoReturn

import pytest

from iiif_server.caches.single_flight import SingleFlight


class Work:
    """A computation that counts its runs and ends when told to."""

    def __init__(self) -> None:
        self.started = self.cancelled = self.finished = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> bytes:
        self.started += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        self.finished += 1
        return b"body"


@pytest.fixture(autouse=True)
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop complained of, in debug mode: there must be nothing."""
    loop = asyncio.get_running_loop()
    found: list[dict[str, Any]] = []
    loop.set_debug(True)
    loop.slow_callback_duration = 60
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert not found


@pytest.fixture
def flights() -> SingleFlight[bytes]:
    return SingleFlight()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_two_hundred_callers_share_one_computation(flights: SingleFlight[bytes]) -> None:
    work = Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(200)]
    await settle()
    assert len(flights) == 1
    work.gate.set()
    bodies = await asyncio.gather(*callers)
    assert work.started == 1
    assert all(body is bodies[0] for body in bodies)
    await settle()
    assert len(flights) == 0


async def test_other_keys_fly_alone(flights: SingleFlight[bytes]) -> None:
    work = Work()
    work.gate.set()
    await asyncio.gather(flights.run("a", work), flights.run("b", work))
    assert work.started == 2


async def test_nothing_is_remembered(flights: SingleFlight[bytes]) -> None:
    work = Work()
    work.gate.set()
    await flights.run("key", work)
    await flights.run("key", work)
    assert work.started == 2


async def test_the_first_caller_leaving_fails_nobody(flights: SingleFlight[bytes]) -> None:
    work = Work()
    first, *others = [asyncio.create_task(flights.run("key", work)) for _ in range(5)]
    await settle()
    first.cancel()
    await settle()
    assert first.cancelled()
    work.gate.set()
    assert await asyncio.gather(*others) == [b"body"] * 4
    assert (work.started, work.cancelled) == (1, 0)


async def test_work_ends_with_its_last_caller_and_a_newcomer_starts_anew(
    flights: SingleFlight[bytes],
) -> None:
    work = Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(5)]
    await settle()
    for caller in callers:
        caller.cancel()
    # In the very turn in which the last one leaves, before the cancelled task has ended.
    await asyncio.wait(callers)
    assert len(flights) == 0
    newcomer = asyncio.create_task(flights.run("key", work))
    await settle()
    assert (work.started, work.cancelled) == (2, 1)
    work.gate.set()
    assert await newcomer == b"body"
    await settle()
    assert len(flights) == 0


async def test_work_that_ends_slowly_does_not_take_the_newcomer_along(flights: SingleFlight[bytes]) -> None:
    release = asyncio.Event()

    async def stubborn() -> bytes:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await release.wait()
            raise RuntimeError("the clean-up failed") from None
        return b"never"

    caller = asyncio.create_task(flights.run("key", stubborn))
    await settle()
    caller.cancel()
    await asyncio.wait([caller])
    work = Work()
    newcomer = asyncio.create_task(flights.run("key", work))
    await settle()
    release.set()
    await settle()
    assert len(flights) == 1
    work.gate.set()
    assert await newcomer == b"body"


async def test_an_exception_goes_to_all_who_wait_and_to_nobody_later(flights: SingleFlight[bytes]) -> None:
    work = Work()
    work.error = ValueError("broken image")
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(20)]
    await settle()
    work.gate.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert outcomes == [work.error] * 20
    work.error = None
    assert await flights.run("key", work) == b"body"


async def test_an_exception_in_the_moment_the_last_one_leaves_is_nobodys(
    flights: SingleFlight[bytes],
) -> None:
    work = Work()
    work.error = ValueError("broken image")
    caller = asyncio.create_task(flights.run("key", work))
    await settle()
    work.gate.set()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await settle()
    assert len(flights) == 0


async def test_a_newcomer_does_not_get_the_error_of_work_just_finished(flights: SingleFlight[bytes]) -> None:
    outcomes: list[object] = []

    async def second() -> None:
        outcomes.append(await flights.run("key", fine))

    async def fine() -> bytes:
        return b"body"

    async def failing() -> bytes:
        # The newcomer's turn comes after this task is done, but before its callbacks have run.
        asyncio.get_running_loop().call_soon(lambda: tasks.append(asyncio.create_task(second())))
        raise ValueError("broken image")

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(ValueError, match="broken"):
        await flights.run("key", failing)
    await settle()
    await asyncio.gather(*tasks)
    assert outcomes == [b"body"]


async def test_a_factory_that_raises_at_once_is_an_exception_like_any(flights: SingleFlight[bytes]) -> None:
    def factory() -> NoReturn:
        raise ValueError("no worker")

    outcomes = await asyncio.gather(*(flights.run("key", factory) for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no worker"] * 3
    await settle()
    assert len(flights) == 0


async def test_a_caller_with_a_time_limit_leaves_like_any(flights: SingleFlight[bytes]) -> None:
    work = Work()
    patient = asyncio.create_task(flights.run("key", work))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flights.run("key", work), 0.01)
    work.gate.set()
    assert await patient == b"body"


@pytest.mark.parametrize("seed", range(8))
async def test_a_storm_of_callers_that_come_and_go(flights: SingleFlight[bytes], seed: int) -> None:
    chance = random.Random(seed)
    running: dict[int, int] = dict.fromkeys(range(4), 0)
    error = ValueError("broken image")

    async def work(number: int) -> bytes:
        running[number] += 1
        assert running[number] == 1, "two computations of one key at once"
        try:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                raise error
            return bytes([number])
        finally:
            running[number] -= 1

    async def caller(number: int) -> bytes:
        return await flights.run(number, lambda: work(number))

    callers: list[tuple[int, asyncio.Task[bytes]]] = []
    left: set[asyncio.Task[bytes]] = set()
    for _ in range(300):
        number = chance.randrange(4)
        callers.append((number, asyncio.create_task(caller(number))))
        if chance.random() < 0.6:
            leaver = chance.choice(callers)[1]
            if leaver.cancel():
                left.add(leaver)
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*(task for _, task in callers), return_exceptions=True)
    await settle()
    for (number, task), outcome in zip(callers, outcomes, strict=True):
        if task.cancelled():
            assert task in left
        else:
            assert outcome in (bytes([number]), error)
    assert len(flights) == 0
    assert not any(running.values())


class Counted:
    """A result that is open as long as somebody uses it."""

    def __init__(self) -> None:
        self.users = 1

    def share(self) -> None:
        assert self.users > 0
        self.users += 1

    def let_go(self) -> None:
        assert self.users > 0
        self.users -= 1


@pytest.fixture
def counted_flights() -> SingleFlight[Counted]:
    return SingleFlight(share=Counted.share, let_go=Counted.let_go)


async def test_a_result_is_shared_with_each_and_let_go_once(counted_flights: SingleFlight[Counted]) -> None:
    gate = asyncio.Event()
    made: list[Counted] = []

    async def work() -> Counted:
        await gate.wait()
        made.append(Counted())
        return made[-1]

    callers = [asyncio.create_task(counted_flights.run("key", work)) for _ in range(10)]
    await settle()
    callers[3].cancel()
    gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[3], asyncio.CancelledError)
    assert len(made) == 1
    assert made[0].users == 9


async def test_a_result_nobody_takes_is_let_go(counted_flights: SingleFlight[Counted]) -> None:
    made: list[Counted] = []
    for turns in range(6):
        gate = asyncio.Event()

        async def work(gate: asyncio.Event = gate) -> Counted:
            with suppress(asyncio.CancelledError):  # too late to stop
                await gate.wait()
            made.append(Counted())
            return made[-1]

        callers = [asyncio.create_task(counted_flights.run("key", work)) for _ in range(3)]
        await settle()
        if turns < 5:
            gate.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
        await settle()
        taken = [result for result in results if isinstance(result, Counted)]
        assert made[-1].users == len(taken)
    assert len(made) == 6


async def test_a_failure_is_not_let_go(counted_flights: SingleFlight[Counted]) -> None:
    async def work() -> Counted:
        raise KeyError("key")

    with pytest.raises(KeyError):
        await counted_flights.run("key", work)

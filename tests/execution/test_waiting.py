"""Who goes next."""

import asyncio

from iiif_server.execution.messages import Task
from iiif_server.execution.waiting import Job, WaitingLine


def job(prefers: int = 0, *, affinity: str = "", heavy: bool = False, claim: int = 0) -> Job:
    loop = asyncio.get_running_loop()
    task, ranking = Task("m", None, affinity, heavy=heavy), (prefers, 1 - prefers)
    return Job(task, b"", ranking, loop.create_future(), 1, claim=claim)


async def test_first_come_first_served() -> None:
    line = WaitingLine(10)
    first, second = job(), job()
    line.add(first)
    line.add(second)
    assert [line.take(0) for _ in range(3)] == [first, second, None]


async def test_a_worker_takes_what_prefers_it_else_the_oldest() -> None:
    line = WaitingLine(10)
    first, second = job(prefers=0), job(prefers=1)
    line.add(first)
    line.add(second)
    assert [line.take(1) for _ in range(2)] == [second, first]


async def test_nobody_is_overtaken_for_ever() -> None:
    line = WaitingLine(100)
    patient = job(prefers=0)
    line.add(patient)
    for _ in range(50):
        line.add(job(prefers=1))
    taken = [line.take(1) for _ in range(50)]
    assert taken.index(patient) == 8


async def test_a_full_line_takes_nobody_but_a_returning_job() -> None:
    line = WaitingLine(1)
    first, second = job(), job()
    assert line.add(first)
    assert not line.add(second)
    line.put_back(second)
    assert line.take(0) is second


async def test_heavy_jobs_leave_half_of_the_line_to_light_ones() -> None:
    line = WaitingLine(4)
    assert [line.add(job(heavy=True)) for _ in range(3)] == [True, True, False]
    assert [line.add(job()) for _ in range(3)] == [True, True, False]


async def test_heavy_jobs_are_passed_over_while_they_may_not_run() -> None:
    line = WaitingLine(10)
    heavy, light = job(heavy=True), job()
    line.add(heavy)
    line.add(light)
    assert [line.take(0, admits=lambda each: not each.is_heavy) for _ in range(2)] == [light, None]
    assert line.take(0) is heavy


async def test_lanes_take_turns_by_age_so_that_none_starves() -> None:
    line = WaitingLine(10)
    jobs = [job(heavy=heavy) for heavy in (False, True, False, True)]
    for each in jobs:
        line.add(each)
    assert [line.take(0) for _ in jobs] == jobs


async def test_all_that_waits_for_one_source_can_be_withdrawn() -> None:
    line = WaitingLine(10)
    poison, good, heavy_poison = job(affinity="p"), job(affinity="g"), job(affinity="p", heavy=True)
    for each in (poison, good, heavy_poison):
        line.add(each)
    assert line.withdraw("p") == [poison, heavy_poison]
    assert list(line) == [good]


async def test_discarding_a_job_that_does_not_wait_is_harmless() -> None:
    line = WaitingLine(10)
    line.discard(job())
    assert len(line) == 0


async def test_what_a_slot_may_not_take_waits_without_being_overtaken() -> None:
    line = WaitingLine(100)
    first = job()
    others = [job() for _ in range(20)]
    for each in (first, *others):
        line.add(each)
    taken = [line.take(1, admits=lambda each: each is not first) for _ in range(21)]
    assert taken == [*others, None]
    assert first.overtaken == 0
    assert line.take(0) is first


async def test_a_lane_whose_jobs_may_not_be_taken_does_not_hold_the_other_up() -> None:
    line = WaitingLine(10)
    light, heavy = job(), job(heavy=True)
    line.add(light)
    line.add(heavy)
    assert line.take(1, admits=lambda each: each is heavy) is heavy


async def test_a_job_that_waits_for_memory_is_passed_a_few_times_and_then_by_none_that_needs_any() -> None:
    line = WaitingLine(100)
    large, others = job(claim=9), [job(claim=1) for _ in range(20)]
    long = job(heavy=True)
    for each in (large, *others, long):
        line.add(each)

    def fits(each: Job) -> bool:
        return each.claim <= 1

    assert [line.take(0, fits=fits) for _ in range(10)] == [*others[:8], long, None]
    assert [line.take(0) for _ in range(3)] == [large, *others[8:10]]


async def test_what_needs_no_memory_passes_without_overtaking() -> None:
    line = WaitingLine(100)
    large, long = job(claim=9), job(heavy=True)
    for each in (large, long):
        line.add(each)
    assert line.take(0, fits=lambda each: not each.claim) is long
    assert large.overtaken == 0

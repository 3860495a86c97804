"""What waits for which worker, and for how long."""

import asyncio
from math import inf

from iiif_server.execution.affinity import rank_slots
from iiif_server.execution.messages import Task
from iiif_server.execution.waiting import Job
from iiif_server.execution.warmth import Warmth


def job(share: int | None = 0, *, affinity: str = "source", admitted: float = 0.0) -> Job:
    loop = asyncio.get_running_loop()
    return Job(Task("m", None, affinity, share=share), b"", (0, 1), loop.create_future(), 1, admitted)


async def test_what_nobody_has_may_go_anywhere() -> None:
    warmth = Warmth()
    assert all(warmth.admits(job(), slot, 0) for slot in (0, 1))


async def test_what_is_being_made_is_waited_for() -> None:
    warmth = Warmth()
    warmth.began(job(), 0)
    assert warmth.admits(job(), 0, 0)
    assert not warmth.admits(job(), 1, 1000)
    assert warmth.patience_ends(job()) == inf


async def test_it_is_waited_for_no_longer_than_it_would_take_to_make_again() -> None:
    warmth = Warmth()
    warmth.began(job(), 0)
    warmth.ended(job(), 1.0, 3.0)
    warmth.ended(job(), 3.0, 3.001)  # the next one finds it made: that is not what it costs
    assert warmth.patience_ends(job(admitted=1)) == 5  # what was being made meanwhile is there now
    late = job(admitted=10)
    assert warmth.patience_ends(late) == 12
    assert not warmth.admits(late, 1, 11.9)
    assert warmth.admits(late, 1, 12)


async def test_shares_and_sources_do_not_wait_for_each_other() -> None:
    warmth = Warmth()
    warmth.began(job(0), 0)
    for other in (job(1), job(None), job(0, affinity="other")):
        assert warmth.admits(other, 1, 0)
    warmth.began(job(None), 0)
    assert warmth.admits(job(None), 1, 0)


async def test_what_a_worker_held_is_gone_with_it() -> None:
    warmth = Warmth()
    warmth.began(job(), 0)
    warmth.forget(0)
    assert warmth.admits(job(), 1, 0)
    assert not warmth.is_warm(job(), 0)


async def test_what_is_made_anew_is_waited_for_like_the_first_time() -> None:
    warmth = Warmth()
    warmth.began(job(), 0)
    warmth.ended(job(), 0.0, 3.0)
    warmth.forget(0)
    warmth.began(job(admitted=100), 1)
    assert warmth.patience_ends(job(admitted=100)) == inf  # it will be there when those 3 seconds are over
    warmth.ended(job(), 100.0, 103.0)
    assert warmth.patience_ends(job(admitted=100)) == 106


def test_the_shares_of_a_source_are_spread_over_the_workers() -> None:
    for slots in (1, 2, 5):
        first = [rank_slots("source", slots, share)[0] for share in range(slots)]
        assert sorted(first) == list(range(slots))
        assert all(sorted(rank_slots("source", slots, share)) == list(range(slots)) for share in range(9))
    assert rank_slots("source", 5, 0) == rank_slots("source", 5)

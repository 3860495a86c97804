"""The tasks that wait for a worker: bounded, in two lanes, in order of arrival but for affinity."""

from __future__ import annotations

from asyncio import Future
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, takewhile

from iiif_server.execution.messages import Outcome, Task

_LOOKAHEAD = 8
_MAX_OVERTAKEN = 8


@dataclass(slots=True, eq=False)
class Job:
    """A task on its way through the pool.

    Attributes:
        task: as it came in.
        payload: its frame, ready to be sent, twice if need be.
        ranking: slots in the order in which the task prefers them.
        future: what the caller waits for; done before the answer is there if the caller has gone.
        timeout: seconds from hand-over to the answer.
        admitted: when it came in, by the event loop's clock.
        deaths: workers that died over it.
        overtaken: how often a later task went first.
        claim: bytes of memory that it needs of what the workers have in common.
    """

    task: Task
    payload: bytes
    ranking: tuple[int, ...]
    future: Future[Outcome]
    timeout: float
    admitted: float = 0.0
    deaths: int = 0
    overtaken: int = 0
    claim: int = 0

    @property
    def is_heavy(self) -> bool:
        """Whether it is long work, or needs more memory than each worker has for itself."""
        return self.task.heavy or self.claim > 0


class WaitingLine:
    """Waiting jobs.

    A worker takes the oldest job that prefers it among the first few, else the oldest of all; no job is
    overtaken more than a few times. Heavy jobs fill half of the line at most, so that they never shut light
    ones out. A heavy job that waits for memory is passed by those that need less, but a few times only: then
    none that needs any goes before it.

    Args:
        capacity: how many jobs may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._light: OrderedDict[Job, int] = OrderedDict()
        self._heavy: OrderedDict[Job, int] = OrderedDict()
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._light) + len(self._heavy)

    def __iter__(self) -> Iterator[Job]:
        return chain(self._light, self._heavy)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for any job."""
        return len(self) >= self._capacity

    def add(self, job: Job) -> bool:
        """Let a job wait; False if there is no room."""
        if self.is_full or (job.is_heavy and len(self._heavy) >= (self._capacity + 1) // 2):
            return False
        self._arrivals += 1
        self._lane(job)[job] = self._arrivals
        return True

    def put_back(self, job: Job) -> None:
        """Put a job that was taken before at the head: it has been in, so no limit applies."""
        lane = self._lane(job)
        lane[job] = 0
        lane.move_to_end(job, last=False)

    def discard(self, job: Job) -> None:
        """Remove a job, if it waits here."""
        self._lane(job).pop(job, None)

    def withdraw(self, affinity: str | None = None) -> list[Job]:
        """Remove and return the jobs of one affinity key, or all."""
        taken = [job for job in self if affinity is None or job.task.affinity == affinity]
        for job in taken:
            self.discard(job)
        return taken

    @property
    def heavy(self) -> int:
        """How many heavy jobs wait."""
        return len(self._heavy)

    def take(
        self,
        slot: int,
        *,
        admits: Callable[[Job], bool] = lambda _: True,
        fits: Callable[[Job], bool] = lambda _: True,
    ) -> Job | None:
        """Remove and return the next job for a slot, or None.

        Args:
            slot: number of the slot that is free.
            admits: tells whether the slot may take a job; those that it may not take wait for another slot,
                or for their turn, and are not overtaken by what it takes.
            fits: tells whether there is memory for a job; those that it lacks for are overtaken.
        """
        lanes = (self._light, self._heavy)
        heads = [(lane, head) for lane in lanes if (head := next(_open(lane, admits, fits), None))]
        if not heads:
            return None
        lane, head = min(heads, key=lambda found: found[0][found[1]])
        near = islice(_open(lane, admits, fits), _LOOKAHEAD)
        job = next((job for job in near if job.ranking[0] == slot), head)
        if job is not head:
            head.overtaken += 1
            if head.overtaken > _MAX_OVERTAKEN:
                job = head
        if job.claim:
            for passed in takewhile(lambda earlier: earlier is not job, lane):
                passed.overtaken += not fits(passed)
        del lane[job]
        return job

    def _lane(self, job: Job) -> OrderedDict[Job, int]:
        return self._heavy if job.is_heavy else self._light


def _open(lane: Iterable[Job], admits: Callable[[Job], bool], fits: Callable[[Job], bool]) -> Iterator[Job]:
    """Those of a lane that may be taken, in order."""
    is_blocked = False
    for job in lane:
        if not fits(job):
            is_blocked = is_blocked or job.overtaken >= _MAX_OVERTAKEN
        elif not (is_blocked and job.claim) and admits(job):
            yield job

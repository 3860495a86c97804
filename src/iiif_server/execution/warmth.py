"""Which workers hold what tasks have in common, and when it pays to make it once more in another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from lru import LRU

from iiif_server.execution.waiting import Job

_REMEMBERED = 4096


@dataclass(slots=True)
class _Common:
    """What tasks of one source and share leave behind.

    Attributes:
        slots: where it is, or is being made.
        cost: seconds that the first task took which made it; unknown until then.
        made: when that task was done, by the event loop's clock.
    """

    slots: set[int] = field(default_factory=set)
    cost: float | None = None
    made: float = 0.0


class Warmth:
    """Knows what to wait for.

    The first tile of a large source takes seconds, because the source is decoded for it, and its neighbours
    milliseconds, in the same worker. To begin again in an idle one is right only once a task has waited for
    as long as that would take: then it never costs more than twice what was best.

    A worker may have dropped since what it once made: then it makes it again, and nothing else is lost.
    """

    def __init__(self) -> None:
        self._known: LRU[tuple[str, int], _Common] = LRU(_REMEMBERED)

    def is_warm(self, job: Job, slot: int) -> bool:
        """Tell whether the slot has, or is making, what the job needs."""
        return (common := self._common(job)) is not None and slot in common.slots

    def admits(self, job: Job, slot: int, now: float) -> bool:
        """Tell whether the slot may take the job now, rather than let it wait for another one."""
        return self.is_warm(job, slot) or self.patience_ends(job) <= now

    def patience_ends(self, job: Job) -> float:
        """When any slot may take the job, by the event loop's clock; infinite while nobody knows."""
        common = self._common(job)
        if common is None or not common.slots:
            return -inf
        return inf if common.cost is None else max(job.admitted, common.made) + common.cost

    def began(self, job: Job, slot: int) -> None:
        """A slot was given a job."""
        if (key := _key(job)) is None:
            return
        common = self._known.setdefault(key, _Common())
        if not common.slots:  # it went with its workers, and is made anew
            common.cost = None
        common.slots.add(slot)

    def ended(self, job: Job, began: float, now: float) -> None:
        """A job is done, successfully or not; what others waited for until now was not in vain."""
        if (common := self._common(job)) is not None and common.cost is None:
            common.cost, common.made = now - began, now

    def forget(self, slot: int) -> None:
        """The slot's worker is gone, and what it held."""
        for common in self._known.values():
            common.slots.discard(slot)

    def _common(self, job: Job) -> _Common | None:
        key = _key(job)
        return None if key is None else self._known.get(key)


def _key(job: Job) -> tuple[str, int] | None:
    return None if job.task.share is None else (job.task.affinity, job.task.share)

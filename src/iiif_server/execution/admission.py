"""What may run at the same time: how many heavy tasks, and how much memory all tasks take together."""

from __future__ import annotations

from iiif_server.errors import SourceTooLarge
from iiif_server.execution.messages import Task
from iiif_server.execution.settings import PoolSettings
from iiif_server.execution.waiting import Job

_FLOOR = 4
"""One worker of so many is left to light tasks, and one of fewer, unless it is the only one."""
_GIBIBYTE = 1024**3


class Admission:
    """Keeps account of the tasks that run.

    Of the budget of memory each worker has a part of its own at all times: for the pixels that it keeps, and
    for light tasks. A worker lets go of what it keeps before it decodes, so a task that needs no more than
    this may always run. One that needs more is heavy, and claims the rest of what the workers have in common.

    Args:
        settings: of the pool.
    """

    def __init__(self, settings: PoolSettings) -> None:
        workers, budget = settings.workers, settings.memory_budget
        self._most_heavy = max(1, workers - max(1, workers // _FLOOR))
        self._budget = budget
        self._own = settings.memory_per_worker
        self._largest = settings.largest_task
        self._common = None if budget is None else max(0, budget - workers * self._own)
        self._reserved = 0 if budget is None else budget - (self._common or 0)
        self._used = 0
        self._refused = 0
        self._heavy: set[Job] = set()

    def claim(self, task: Task) -> int:
        """Bytes that a task needs of what is common; 0 without a budget.

        Raises:
            SourceTooLarge: more than there is.
        """
        if self._common is None or task.memory <= self._own:
            return 0
        claim = task.memory - self._own
        if task.memory > self._largest:
            self._refused += 1
            there = self._largest / _GIBIBYTE
            text = f"Making this of the source image takes about {task.memory / _GIBIBYTE:.1f} GiB of memory"
            raise SourceTooLarge(
                f"{text}, more than this server has for one image.",
                log=f"{text}; image_memory_budget leaves {there:.1f} GiB for one image: {task.affinity!r}",
            )
        return claim

    def fits(self, job: Job) -> bool:
        """Tell whether there is memory for a job at the moment."""
        return self._common is None or not job.claim or self._used + job.claim <= self._common

    def has_turn(self, job: Job, *, is_warm: bool) -> bool:
        """Tell whether a job may occupy one more worker.

        Args:
            job: that is to run.
            is_warm: whether the worker holds what makes it heavy: then it is not.
        """
        return not job.is_heavy or is_warm or len(self._heavy) < self._most_heavy

    def began(self, job: Job, *, is_warm: bool) -> None:
        """A job runs."""
        self._used += job.claim
        if job.is_heavy and not is_warm:
            self._heavy.add(job)

    def ended(self, job: Job) -> None:
        """A job that ran does not any more."""
        self._used -= job.claim
        self._heavy.discard(job)

    def statistics(self) -> dict[str, int]:
        """Gauges and a counter by name; of memory none if there is no budget."""
        gauges = {"heavy": len(self._heavy), "max_heavy": self._most_heavy}
        if self._budget is not None:
            gauges |= {
                "memory_budget": self._budget,
                "memory_claimed": self._reserved + self._used,
                "refused_for_memory": self._refused,
            }
        return gauges

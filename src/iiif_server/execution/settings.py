"""How a pool is set up."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

GIBIBYTE = 1024**3
WORKER_CEILING = 4 * GIBIBYTE
"""Private bytes at which allocations in a worker fail, unless it is told otherwise."""
IMAGE_WORK = "iiif_server.imaging.preloading"
"""The module that is imported once for all workers that do the server's image work."""
LIGHT_MEMORY = 64 * 1024**2
"""Bytes that a worker may take for light tasks, whatever else runs."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How a pool is set up.

    Attributes:
        factory: ``package.module:function``. Each worker imports it and calls ``function(factory_argument)``
            once; it returns a mapping of method names to handlers, ``argument -> (JSON object, body)``.
        factory_argument: picklable; its classes must be importable, not defined in ``__main__``.
        workers: number of processes.
        queue_size: waiting tasks at most; None is ``4 * workers + 32``. Heavy tasks may fill half of it.
        timeout: seconds a task may run unless it says otherwise; then its worker is killed.
        max_memory: resident bytes above which a worker is replaced once its task is done.
        memory_limit: private bytes (``RLIMIT_DATA``) at which an allocation in a worker fails, so that a bomb
            ends in an error and not in the OOM killer. None sets no ceiling.
        memory_budget: bytes that tasks may take in all workers together, and what these keep between tasks;
            None is no bound.
        kept_memory: of it, what each worker may keep between tasks.
        max_tasks: tasks after which a worker is replaced; None is never.
        max_answer: largest body a handler may return, in bytes.
        quarantine: seconds for which a source that keeps killing workers is refused.
        strikes: deaths or timeouts after which it is.
        start_timeout: seconds a worker may take from its start to its hello.
        preload: the module that is imported once for all workers where they are forked; None takes the
            factory's.
        fork_server: the descriptor to ask for workers by, of a fork server that somebody else keeps. None has
            the pool keep one of its own, if it can.
    """

    factory: str
    factory_argument: object = None
    workers: int = 2
    queue_size: int | None = None
    timeout: float = 30.0
    max_memory: int = GIBIBYTE
    memory_limit: int | None = WORKER_CEILING
    memory_budget: int | None = None
    kept_memory: int = 0
    max_tasks: int | None = None
    max_answer: int = GIBIBYTE
    quarantine: float = 300.0
    strikes: int = 2
    start_timeout: float = 30.0
    preload: str | None = None
    fork_server: int | None = None

    @property
    def memory_per_worker(self) -> int:
        """Bytes of the budget that belong to each worker, whatever the others do."""
        return max(self.kept_memory, LIGHT_MEMORY)

    @property
    def largest_task(self) -> float:
        """Bytes of memory that one task may take at the most, if nothing else runs."""
        budget = inf if self.memory_budget is None else self.memory_budget
        others = (self.workers - 1) * self.memory_per_worker
        ceiling = inf if self.memory_limit is None or self.memory_budget is None else self.memory_limit
        return min(max(self.memory_per_worker, budget - others), ceiling)

    @property
    def capacity(self) -> int:
        """How many tasks may wait."""
        return 4 * self.workers + 32 if self.queue_size is None else self.queue_size

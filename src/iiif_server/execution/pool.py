"""The worker pool: who works on what, and what becomes of a task whose worker dies."""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
from collections.abc import Callable
from math import ceil, inf

from iiif_server.errors import IIIFServerError, ServerBusy, TaskTimeout, WorkerDied
from iiif_server.execution.admission import Admission
from iiif_server.execution.affinity import rank_slots
from iiif_server.execution.answers import Answer
from iiif_server.execution.keeper import worker_source
from iiif_server.execution.messages import Orders, Outcome, Task
from iiif_server.execution.process import WorkerProcess, WorkerStartFailed
from iiif_server.execution.quarantine import Quarantine
from iiif_server.execution.settings import PoolSettings
from iiif_server.execution.slot import Slot
from iiif_server.execution.starting import WorkerSource
from iiif_server.execution.waiting import Job, WaitingLine
from iiif_server.execution.warmth import Warmth

__all__ = ["PoolSettings", "WorkerPool", "WorkerStartFailed"]

_MAX_RETRY_AFTER = 30
_KILLS = 2
"""So many workers may be killed over a task from outside before that is held against its source."""

logger = logging.getLogger(__name__)


class WorkerPool:
    """A fixed number of worker processes, fed from one bounded line.

    A task goes to the worker that its affinity prefers if that one is idle, else to any idle one, else it
    waits; it also waits for a worker that holds what its share needs, for as long as that pays. What a task
    does to its worker (crash, hang, exhaust its memory) is answered to its caller and touches no other task.

    All methods belong to the event loop that :meth:`start` ran on.

    Args:
        settings: how many workers, doing what, within which limits.
        on_outcome: told of every task that a worker has done, also if nobody waits for it any more.
    """

    def __init__(self, settings: PoolSettings, on_outcome: Callable[[Outcome], None] | None = None) -> None:
        self._settings = settings
        self._on_outcome = on_outcome
        self._line = WaitingLine(settings.capacity)
        self._quarantine = Quarantine(settings.strikes, settings.quarantine)
        self._warmth = Warmth()
        self._admission = Admission(settings)
        self._patience: asyncio.TimerHandle | None = None
        self._slots: list[Slot] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._source: WorkerSource | None = None
        self._closing: asyncio.Task[None] | None = None
        self._failing = False
        self._seconds_per_task = 0.1
        self._handed_over: dict[Job, float] = {}
        self._counts = {"tasks": 0, "deaths": 0, "timeouts": 0, "retries": 0, "recycled": 0, "refused": 0}

    async def start(self) -> None:
        """Start all workers; returns when every one has said hello.

        Raises:
            WorkerStartFailed: a worker can't be started or the factory failed; nothing is left running.
        """
        if self._slots or self._closing:
            raise RuntimeError("a pool is started once")
        orders = Orders(
            self._settings.factory,
            pickle.dumps(self._settings.factory_argument),
            self._settings.memory_limit,
            self._settings.max_answer,
        )

        source = self._source = worker_source(self._settings)

        def create_worker(on_answer: Callable[[bytes, bytes], None]) -> WorkerProcess:
            return WorkerProcess(source, orders, on_answer)

        self._slots = [
            Slot(index, self, create_worker, self._settings.start_timeout)
            for index in range(self._settings.workers)
        ]
        self._keepers = [asyncio.create_task(slot.keep()) for slot in self._slots]
        try:
            await asyncio.gather(*(slot.first_start for slot in self._slots))
        except BaseException:
            await self.close(grace=0)
            raise

    async def run(self, task: Task) -> Outcome:
        """Have a task done by a worker.

        Cancelling removes the task if it waits; if it runs, it is left to end and its answer dropped.

        Raises:
            SourceTooLarge: it takes more memory than there would be if nothing else ran.
            ServerBusy: the line is full, or the pool is closing or without workers.
            SourceSetAside: the task's affinity key killed workers before.
            TaskTimeout: it took too long; its worker was killed. It is not tried again.
            WorkerDied: its worker died, and so did the one that tried it again.
            IIIFServerError: what the handler raised; ``RenderFailed`` for anything else it raised.
        """
        if not self._slots:
            raise RuntimeError("the pool was not started")
        if self._closing:
            raise ServerBusy("The server is shutting down.", retry_after=5)
        self._quarantine.check(task.affinity)
        job = self._admit(task)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._line.discard(job)
            raise

    @property
    def room(self) -> int:
        """How many more tasks may wait."""
        return max(0, self._settings.capacity - len(self._line))

    def check_room(self, coming: int = 0) -> None:
        """Refuse as :meth:`run` would for want of room: what precedes a task need not be done then.

        Args:
            coming: so many others are on their way to the line.

        Raises:
            ServerBusy: the line is full, or will be.
        """
        if coming >= self.room:
            self._counts["refused"] += 1
            raise self._busy()

    def is_taken_by(self, affinity: str) -> bool:
        """Tell whether every worker is at a task of this affinity key: nothing begins before its end."""
        return all(slot.job is not None and slot.job.task.affinity == affinity for slot in self._slots)

    async def close(self, grace: float = 10.0) -> None:
        """Refuse new tasks, finish accepted ones for ``grace`` seconds at most, and end every worker.

        May be called at any time and again; it returns when no worker is left.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._shut_down(grace))
        await asyncio.shield(self._closing)

    def status(self) -> dict[str, object]:
        """The pool at this moment, as a JSON object."""
        return {**self.statistics(), "pids": [slot.pid for slot in self._slots if slot.ready]}

    def statistics(self) -> dict[str, int]:
        """Gauges of this moment and counters since the start, by name."""
        return {
            "workers": self._settings.workers,
            "ready": sum(slot.ready for slot in self._slots),
            "busy": sum(slot.job is not None for slot in self._slots),
            "waiting": len(self._line),
            "waiting_for_memory": sum(not self._admission.fits(job) for job in self._line),
            "capacity": self._settings.capacity,
            "restarts": sum(max(0, slot.starts - 1) for slot in self._slots),
            "quarantined": self._quarantine.count(),
            **self._admission.statistics(),
            **self._counts,
        }

    def _admit(self, task: Task) -> Job:
        job = Job(
            task,
            payload=pickle.dumps((task.method, task.argument)),
            ranking=rank_slots(task.affinity, len(self._slots), task.share),
            future=asyncio.get_running_loop().create_future(),
            timeout=self._settings.timeout if task.timeout is None else task.timeout,
            admitted=asyncio.get_running_loop().time(),
            claim=self._admission.claim(task),
        )
        idle = self._idle_slot(job)
        if idle and self._may_begin(job, idle):
            self._hand_over(idle, job)
        elif self._failing or not self._line.add(job):
            self._counts["refused"] += 1
            raise self._busy()
        else:
            if idle:  # the line decides whether it may pass those that wait for memory
                self._feed(idle)
            self._mind_patience()
        return job

    def _may_begin(self, job: Job, slot: Slot) -> bool:
        """Tell whether a job that just came may begin in an idle slot, and passes nobody by that."""
        if not job.is_heavy:
            return True
        is_warm = self._warmth.is_warm(job, slot.index)
        return (
            not self._line.heavy
            and self._admission.has_turn(job, is_warm=is_warm)
            and self._admission.fits(job)
        )

    def _idle_slot(self, job: Job) -> Slot | None:
        """The best of the idle slots that may take a job: one that is warm, else by the job's ranking."""
        idle = [self._slots[index] for index in job.ranking if self._slots[index].idle]
        open_to_it = [slot for slot in idle if self._warmth.admits(job, slot.index, job.admitted)]
        return max(open_to_it, key=lambda slot: self._warmth.is_warm(job, slot.index), default=None)

    def _busy(self) -> ServerBusy:
        seconds = len(self._line) * self._seconds_per_task / self._settings.workers
        retry_after = min(_MAX_RETRY_AFTER, max(1, ceil(seconds)))
        return ServerBusy("The server is busy. Try again later.", retry_after=retry_after)

    def _hand_over(self, slot: Slot, job: Job) -> None:
        self._handed_over[job] = asyncio.get_running_loop().time()
        self._admission.began(job, is_warm=self._warmth.is_warm(job, slot.index))
        self._warmth.began(job, slot.index)
        slot.hand_over(job)

    def _feed(self, slot: Slot) -> None:
        """Give an idle slot the next waiting job."""
        if not slot.idle or not self._line:
            return
        now = asyncio.get_running_loop().time()

        def admits(job: Job) -> bool:
            is_warm = self._warmth.is_warm(job, slot.index)
            has_turn = self._admission.has_turn(job, is_warm=is_warm)
            return has_turn and self._warmth.admits(job, slot.index, now)

        if job := self._line.take(slot.index, admits=admits, fits=self._admission.fits):
            self._hand_over(slot, job)

    def _feed_all(self) -> None:
        for slot in self._slots:
            self._feed(slot)
        self._mind_patience()

    def _mind_patience(self) -> None:
        """Come back when a waiting job may go to a slot that is idle although it waits."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._line and not self._closing and any(slot.idle for slot in self._slots):
            loop = asyncio.get_running_loop()
            # Those whose patience has ended wait for another reason: heavy jobs for each other.
            ends = [end for job in self._line if loop.time() < (end := self._warmth.patience_ends(job)) < inf]
            if ends:
                self._patience = loop.call_at(min(ends), self._feed_all)

    # What the slots tell.

    def on_ready(self, slot: Slot) -> None:
        """A worker came to its place."""
        self._failing = False
        self._warmth.forget(slot.index)
        self._feed_all()

    def on_answer(self, slot: Slot, job: Job, answer: Answer, body: bytes) -> None:
        """A job is done."""
        began = self._take_back(job)
        now = asyncio.get_running_loop().time()
        self._warmth.ended(job, began, now)
        self._seconds_per_task += 0.1 * (now - began - self._seconds_per_task)
        self._counts["tasks"] += 1
        outcome = Outcome(answer.meta, body, began - job.admitted)
        if not job.future.done():
            if answer.error:
                job.future.set_exception(answer.error)
            else:
                job.future.set_result(outcome)
        if self._worn_out(slot, answer):
            self._counts["recycled"] += 1
            logger.info("worker %s is replaced after %d tasks at %d bytes", slot.pid, slot.tasks, answer.rss)
            slot.recycle()
            self._warmth.forget(slot.index)
        # Not only this slot: the end of a heavy job may let another slot take the next heavy one.
        self._feed_all()
        if answer.error is None and self._on_outcome is not None:
            self._on_outcome(outcome)

    def _take_back(self, job: Job) -> float:
        """A job does not run any more; tells when it was handed over."""
        self._admission.ended(job)
        return self._handed_over.pop(job)

    def _worn_out(self, slot: Slot, answer: Answer) -> bool:
        """Whether to replace a worker now: one at a time, so that the others can carry the load."""
        limit = self._settings.max_tasks
        worn = answer.rss > self._settings.max_memory or (limit is not None and slot.tasks >= limit)
        return answer.exhausted or (worn and all(other.ready for other in self._slots))

    def on_timeout(self, slot: Slot, job: Job) -> None:
        """A job ran past its deadline."""
        self._take_back(job)
        self._warmth.forget(slot.index)
        self._counts["timeouts"] += 1
        self._strike(job, 1)
        error = TaskTimeout(
            "The image took too long to process.",
            log=f"{job.task.method} took longer than {job.timeout:g} s: {job.task.affinity}",
        )
        self._fail(job, error)
        self._feed_all()

    def on_death(self, slot: Slot, job: Job, exit_code: int | None) -> None:
        """A worker died over a job: once is tried again, twice is the job's fault.

        A worker that ended itself (a crash in a codec) is held against the source at once. SIGKILL may have
        come from the operator or from the kernel short of memory, and to one worker after the other: so it
        counts only when two retries die as well, or when there is nobody left to retry for.
        """
        self._take_back(job)
        self._warmth.forget(slot.index)
        self._counts["deaths"] += 1
        job.deaths += 1
        log = f"worker ended with code {exit_code} over {job.task.method}: {job.task.affinity}"
        logger.error(log)
        from_outside = exit_code == -signal.SIGKILL
        if job.future.done():
            self._strike(job, 1)
        elif job.deaths > (_KILLS if from_outside else 1):
            self._strike(job, 2 if from_outside else 1)
            self._fail(job, WorkerDied("The image could not be processed.", log=log))
        elif not from_outside and self._strike(job, 1):
            self._fail(job, WorkerDied("The image could not be processed.", log=log))
        else:
            self._counts["retries"] += 1
            self._line.put_back(job)
        self._feed_all()

    def on_return(self, slot: Slot, job: Job) -> None:
        """A worker was dead already when it got a job: that was not the job's turn."""
        self._take_back(job)
        self._warmth.forget(slot.index)
        if not job.future.done():
            self._line.put_back(job)
            self._feed_all()

    def on_start_failed(self, error: WorkerStartFailed, *, is_hopeless: bool) -> None:
        """A worker did not start; with none left and none to be had, nobody is kept waiting."""
        logger.error("%s", error)
        if is_hopeless and not any(slot.ready for slot in self._slots):
            self._failing = True
            for job in self._line.withdraw():
                self._fail(
                    job, ServerBusy("The server is busy. Try again later.", log=str(error), retry_after=5)
                )

    def _strike(self, job: Job, count: int) -> bool:
        """Hold deaths against a source; once it is set aside, what waits for it is refused."""
        key = job.task.affinity
        set_aside = self._quarantine.strike(key, count)
        if set_aside:
            for waiting in self._line.withdraw(key):
                try:
                    self._quarantine.check(key)
                except IIIFServerError as error:
                    self._fail(waiting, error)
        return set_aside

    def _fail(self, job: Job, error: IIIFServerError) -> None:
        if not job.future.done():
            job.future.set_exception(error)

    async def _shut_down(self, grace: float) -> None:
        accepted = [job.future for job in (*self._line, *self._handed_over) if not job.future.done()]
        if accepted and grace > 0:
            await asyncio.wait(accepted, timeout=grace)
        for job in (*self._line.withdraw(), *self._handed_over):
            self._fail(job, ServerBusy("The server is shutting down.", retry_after=5))
        for job in tuple(self._handed_over):
            self._take_back(job)
        for slot in self._slots:
            slot.close()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._source is not None:
            await self._source.close()

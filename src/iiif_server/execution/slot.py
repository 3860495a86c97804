"""One place in the pool: always filled by a worker, which works on one job or none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from iiif_server.execution import answers
from iiif_server.execution.process import WorkerProcess, WorkerStartFailed
from iiif_server.execution.waiting import Job

_MAX_PAUSE = 5.0
_SHORT_LIFE = 10.0
_START_ATTEMPTS = 3
_START_SECONDS = 2.0

logger = logging.getLogger(__name__)


class SlotOwner(Protocol):
    """What a slot tells the pool."""

    def on_ready(self, slot: Slot) -> None:
        """The slot can take a job."""

    def on_answer(self, slot: Slot, job: Job, answer: answers.Answer, body: bytes) -> None:
        """A job is done; the slot has no job now."""

    def on_timeout(self, slot: Slot, job: Job) -> None:
        """A job ran past its deadline; its worker was killed."""

    def on_return(self, slot: Slot, job: Job) -> None:
        """A worker was dead already when it got a job."""

    def on_death(self, slot: Slot, job: Job, exit_code: int | None) -> None:
        """A worker died over a job."""

    def on_start_failed(self, error: WorkerStartFailed, *, is_hopeless: bool) -> None:
        """A worker did not start; the slot tries again.

        Args:
            error: why.
            is_hopeless: that was not the first time, or took long: nobody should wait for the next one.
        """


class Slot:
    """Keeps a worker in its place, hands it jobs, and ends it when a job takes too long.

    Args:
        index: its number.
        owner: is told what happens.
        create_worker: makes a worker, not yet started, that calls the given function with its answers.
        start_timeout: seconds for a worker to say hello.
    """

    def __init__(
        self,
        index: int,
        owner: SlotOwner,
        create_worker: Callable[[Callable[[bytes, bytes], None]], WorkerProcess],
        start_timeout: float,
    ) -> None:
        self.index = index
        self.job: Job | None = None
        self.ready = False
        self.starts = 0
        self.first_start: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._create_worker = create_worker
        self._start_timeout = start_timeout
        self._worker: WorkerProcess | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._failed_starts = 0
        self._vacant_since = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        """Whether it can take a job now."""
        return self.ready and self.job is None

    @property
    def pid(self) -> int | None:
        """Process id of its worker."""
        return self._worker.pid if self._worker else None

    @property
    def tasks(self) -> int:
        """How many jobs its present worker was given."""
        return self._worker.tasks if self._worker else 0

    def hand_over(self, job: Job) -> None:
        """Give a job to the worker; its time runs from now."""
        assert self.idle
        assert self._worker is not None
        self.job = job
        self._timer = asyncio.get_running_loop().call_later(job.timeout, self._expire)
        self._worker.send(job.payload)

    def recycle(self) -> None:
        """Replace the idle worker by a fresh one."""
        assert self.idle
        assert self._worker is not None
        self.ready = False
        self._worker.retire()

    def close(self) -> None:
        """End the worker for good, whatever it is doing."""
        self._closing.set()
        if self.idle:
            self.recycle()
        elif self._worker:
            self._release()
            self._worker.kill()

    async def keep(self) -> None:
        """Fill the slot again and again until it is closed."""
        loop = asyncio.get_running_loop()
        barren = 0
        try:
            while not self._closing.is_set():
                began = loop.time()
                was_of_use = await self._employ() or loop.time() - began > _SHORT_LIFE
                barren = 0 if was_of_use else barren + 1
                await self._pause(barren)
        finally:
            if self._worker:
                self._worker.kill()

    async def _employ(self) -> bool:
        """One worker from start to end; says whether it was of any use."""
        worker = self._worker = self._create_worker(self._take_answer)
        self.starts += 1
        try:
            await worker.start(self._start_timeout)
        except WorkerStartFailed as error:
            worker.kill()
            await worker.reap()
            self._settle_first_start(error)
            self._failed_starts += 1
            if not self._closing.is_set():
                self._owner.on_start_failed(error, is_hopeless=self._is_hopeless())
            return False
        self._failed_starts = 0
        self._settle_first_start(None)
        if not worker.ended.is_set():
            self.ready = True
            self._owner.on_ready(self)
        await worker.ended.wait()
        self.ready = False
        self._vacant_since = asyncio.get_running_loop().time()
        job = self._release()
        exit_code = await worker.reap()
        if job and worker.unread:
            self._owner.on_return(self, job)
        elif job:
            self._owner.on_death(self, job, exit_code)
        return worker.tasks > worker.unread

    def _is_hopeless(self) -> bool:
        """A worker may be killed while it starts, and the next one may start well."""
        vacant = asyncio.get_running_loop().time() - self._vacant_since
        return self._failed_starts >= _START_ATTEMPTS or vacant > _START_SECONDS

    async def _pause(self, barren: int) -> None:
        """A worker that dies young and unused is replaced at once; after the second one, ever more slowly."""
        if barren > 1:
            pause = min(_MAX_PAUSE, 0.1 * 2 ** min(barren - 2, 10))
            try:
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            except TimeoutError:
                pass

    def _settle_first_start(self, error: WorkerStartFailed | None) -> None:
        if self.first_start.done():
            return
        if error is None:
            self.first_start.set_result(None)
        else:
            self.first_start.set_exception(error)

    def _release(self) -> Job | None:
        job, self.job = self.job, None
        if self._timer:
            self._timer.cancel()
            self._timer = None
        return job

    def _take_answer(self, header: bytes, body: bytes) -> None:
        assert self._worker is not None
        try:
            answer = answers.decode(header)
        except ValueError:
            logger.exception("worker %s breaks the rules and is ended", self.pid)
            self._worker.kill()
            return
        job = self._release()
        if job:
            self._owner.on_answer(self, job, answer, body)

    def _expire(self) -> None:
        assert self._worker is not None
        logger.warning("worker %s is ended: its task exceeded the time limit", self.pid)
        self.ready = False
        job = self._release()
        self._worker.kill()
        if job:
            self._owner.on_timeout(self, job)

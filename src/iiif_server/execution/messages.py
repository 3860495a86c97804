"""What goes in and out of the pool, and what a worker is told at its start.

Imported by workers: no asyncio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work for a worker.

    Attributes:
        method: name of the handler, as the worker's factory calls it.
        argument: what the handler gets; it is pickled.
        affinity: tasks with the same key go to the same worker while that worker is free, and are set aside
            together when they kill workers. Usually path and version of the source; empty for neither.
        heavy: long work (a full-size conversion, a pyramid) that must never occupy the last worker.
        timeout: seconds from hand-over to the answer; None takes the pool's default.
        share: a number for what tasks of one affinity have in common, if that is worth waiting for: a decoded
            level, say. Shares of one affinity are spread over the workers by their numbers.
        memory: bytes that it is estimated to take in its worker, beyond what that takes when it is idle.
    """

    method: str
    argument: object
    affinity: str
    heavy: bool = False
    timeout: float | None = None
    share: int | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler returned.

    Attributes:
        meta: a JSON object.
        body: image bytes, or nothing.
        waited: seconds from its admission until a worker had it.
    """

    meta: dict[str, Any]
    body: bytes
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """The first frame to a worker: how to make its handlers, and its limits.

    Attributes:
        factory: ``package.module:function``, imported by the worker.
        argument: the factory's only argument, pickled by itself so that its modules load after the limits
            hold.
        memory_limit: ceiling for the worker's private memory in bytes, or None.
        max_answer: largest body a handler may return, in bytes.
    """

    factory: str
    argument: bytes
    memory_limit: int | None
    max_answer: int


class TaskRunner(Protocol):
    """Whatever runs tasks; the services know no more of it."""

    @property
    def room(self) -> int:
        """How many more tasks may wait."""
        ...

    def check_room(self, coming: int = 0) -> None:
        """Refuse as :meth:`run` would for want of room, before anything is done for a task.

        Args:
            coming: so many others are on their way, and will take their places first.

        Raises:
            ServerBusy: too many tasks wait.
        """
        ...

    async def run(self, task: Task) -> Outcome:
        """Run a task and return what its handler did, or raise what it raised."""
        ...

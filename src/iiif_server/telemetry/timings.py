"""What is noted about the request at hand: its id, where its answer came from, how long each step took."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from time import perf_counter
from types import TracebackType
from typing import Final


class Tier(StrEnum):
    """Where an image came from."""

    MEMORY = "memory"
    SOURCE = "source"
    """A tile that is stored in the source, passed on as it is."""
    PYRAMID = "pyramid"
    """A tile that was made before, with all others of its image."""
    DISK = "disk"
    WORKER = "worker"


_ID: Final = re.compile(r"[^A-Za-z0-9._:/+=@-]+", re.ASCII)
_LONGEST_ID: Final = 128


class Trace:
    """Notes about one request. Cheap to make: there is one for each.

    Attributes:
        request_id: is in every log line of the request, and in its answer.
        began: by ``time.perf_counter``.
        tier: where the image came from, once that is known.
        steps: seconds by name, in the order of the steps.
    """

    __slots__ = ("began", "request_id", "steps", "tier")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.began = perf_counter()
        self.tier: Tier | None = None
        self.steps: dict[str, float] = {}

    def elapsed(self) -> float:
        """Seconds since the request came in."""
        return perf_counter() - self.began


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("iiif_server_trace", default=None)
"""The trace of the request that this code works for; tasks that it starts inherit it."""


class Step:
    """``with Step("info"):`` adds the block's time to the current request's trace, if there is one."""

    __slots__ = ("_began", "_name")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if (trace := CURRENT.get()) is not None:
            took = perf_counter() - self._began
            trace.steps[self._name] = trace.steps.get(self._name, 0.0) + took


def note_answer(tier: Tier, steps: Mapping[str, float] | None = None) -> None:
    """Note where the current request's image came from, and the steps of making it."""
    if (trace := CURRENT.get()) is not None:
        trace.tier = tier
        if steps:
            trace.steps.update(steps)


def new_request_id() -> str:
    """16 hexadecimal digits by chance; nobody has to be kept from guessing them."""
    return f"{random.getrandbits(64):016x}"


def clean_request_id(text: str) -> str:
    """What may stand in a log line and a header of an id that somebody else has given; may be empty."""
    return _ID.sub("", text)[:_LONGEST_ID]


def server_timing(trace: Trace) -> str:
    """The value of a ``Server-Timing`` header: milliseconds by step, the total last.

    See https://www.w3.org/TR/server-timing/.
    """
    parts = [f"{name};dur={seconds * 1000:.3f}" for name, seconds in trace.steps.items()]
    if trace.tier is not None:
        parts.append(f'from;desc="{trace.tier}"')
    return ", ".join([*parts, f"total;dur={trace.elapsed() * 1000:.3f}"])

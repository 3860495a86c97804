"""How long each step of making a derivative took, as a worker tells the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

STEPS: Final = ("open", "copy", "transform", "decode", "convert", "scale", "encode")
"""In the order of the work; only those occur that a derivative needed.

``open`` reads the header, ``copy`` and ``transform`` pass stored JPEG data on, ``convert`` brings decoded
pixels upright and to sRGB, ``scale`` includes turning.
"""

_KEY: Final = "steps"
_LONGEST: Final = 10**12


class Stopwatch:
    """Adds up the time spent in each step. The time of a step within another one counts for the inner one."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the block's time, also if it fails."""
        outer, self._inner = self._inner, 0.0
        began = perf_counter()
        try:
            yield
        finally:
            took = perf_counter() - began
            self._seconds[name] = self._seconds.get(name, 0.0) + took - self._inner
            self._inner = outer + took

    def to_meta(self) -> dict[str, dict[str, int]]:
        """A part of an answer's meta data: whole microseconds by step."""
        return {_KEY: {name: round(seconds * 1e6) for name, seconds in self._seconds.items()}}


def read_steps(meta: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by step, from an answer's meta data; whatever is no such thing is left out.

    A worker has touched a source, so that its word is not taken for more than it can be.
    """
    told = meta.get(_KEY)
    if not isinstance(told, dict):
        return {}
    return {
        name: told[name] / 1e6
        for name in STEPS
        if type(told.get(name)) is int and 0 <= told[name] <= _LONGEST
    }

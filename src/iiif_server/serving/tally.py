"""How many connections each of the server's processes has, in memory that they share."""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final, Self

_ABSENT: Final = -(1 << 30)
"""Of a process that takes no connections: fewer than none, whatever is added while the last ones close."""


class Tally:
    """The counts of all processes, as one of them sees and changes them.

    Each process writes a number of its own, so there is no lock. One that was killed leaves its number behind
    for the moment until another has its place.

    Args:
        counts: by the number of the process.
        process: whose count this one changes.
    """

    def __init__(self, counts: memoryview, process: int) -> None:
        self._counts = counts
        self._process = process

    @classmethod
    def alone(cls) -> Self:
        """Of a server with one process."""
        return cls(memoryview(array("i", [_ABSENT])), 0)

    @classmethod
    def shared(cls, descriptor: int, process: int) -> Self:
        """Of the file that :func:`tally_file` has made; the descriptor may be closed afterwards."""
        return cls(memoryview(mmap.mmap(descriptor, 0)).cast("i"), process)

    def begin(self) -> None:
        """Take connections from now on; there are none yet."""
        self._counts[self._process] = 0

    def end(self) -> None:
        """Take no more connections."""
        self._counts[self._process] = _ABSENT

    def add(self, number: int) -> None:
        """Count connections that came; negative if they went."""
        self._counts[self._process] += number

    def is_ahead(self) -> bool:
        """Whether another process has fewer connections."""
        own = self._counts[self._process]
        return any(0 <= each < own for each in self._counts)


@contextmanager
def tally_file(processes: int) -> Iterator[int]:
    """A file without a name for the counts of so many processes: its descriptor.

    Raises:
        OSError: there is no room for it.
    """
    is_linux = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("tally"), "r+b") if is_linux else TemporaryFile() as file:
        file.write(array("i", [_ABSENT] * processes).tobytes())
        file.flush()
        yield file.fileno()

"""How many files lie below a directory, and what they take: counted within a bound on time. Reads disks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted.

    Attributes:
        count: of regular files.
        size: of them together, in bytes.
        complete: whether that is all; false if there was no time for all, or something could not be read.
    """

    count: int
    size: int
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """As the status page has it."""
        return {
            "count": self.count,
            "size_bytes": self.size,
            "size_pretty": pretty_size(self.size),
            "complete": self.complete,
        }


def measure(
    directories: Sequence[Path],
    seconds: float,
    *,
    is_unwanted: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Mapping[Path, Usage]:
    """Count the files below each directory; what one leaves of its share of the time goes to the rest.

    Links are not followed. A directory that is not there has no files.

    Args:
        directories: where to count.
        seconds: for all of them together.
        is_unwanted: asked now and then; true ends it at once.
        clock: monotonic seconds.
    """
    end = clock() + seconds
    found: dict[Path, Usage] = {}
    for number, directory in enumerate(directories):
        now = clock()
        until = now + (end - now) / (len(directories) - number)
        found[directory] = _measure(directory, lambda until=until: clock() >= until or is_unwanted())  # type: ignore[misc]
    return found


def pretty_size(size: int) -> str:
    """A number of bytes for people, such as ``1.5 GiB``."""
    value, unit = float(size), _UNITS[0]
    for larger in _UNITS[1:]:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def _measure(directory: Path, is_over: Callable[[], bool]) -> Usage:
    count = size = 0
    for entry_size in _sizes(directory):
        if entry_size is None or is_over():
            return Usage(count, size, complete=False)
        count += 1
        size += entry_size
    return Usage(count, size, complete=True)


def _sizes(root: Path) -> Iterator[int | None]:
    """The size of each file below a directory; ``None`` at the end if something could not be read."""
    pending, unread = [os.fspath(root)], False
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue  # it, or a file of it, has gone meanwhile
        except OSError:
            unread = True
    if unread:
        yield None

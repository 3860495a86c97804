"""What a test left behind: threads, child processes, open files, asyncio tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GRACE = 3.0
"""Seconds within which what is being closed has to be gone."""

_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Children that the standard library starts once and keeps."""

_LOOP_THREAD = "asyncio_"
"""What the names of an event loop's own worker threads begin with: they end with the loop."""

_DESCRIPTORS = Path("/proc/self/fd")
_THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class Resources:
    """What this process holds at one moment, and which tasks run on the event loop, if one does."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    files: frozenset[tuple[str, str]]
    tasks: frozenset[asyncio.Task[Any]]

    @classmethod
    def now(cls) -> Resources:
        """Look."""
        return cls(frozenset(threading.enumerate()), _children(), _open_files(), _tasks())

    def left_behind(self) -> list[str]:
        """Describe what is there now and was not then, after a time of grace. Blocks."""
        return _after_grace(self._new)

    async def left_behind_by_now(self, at_most: int = 0) -> list[str]:
        """The same on the event loop, tasks included; the threads of the loop itself are nobody's leak.

        Args:
            at_most: so much is fine, and not waited for.
        """

        def look() -> list[str]:
            found = [what for what in self._new() if not what.startswith(f"thread {_LOOP_THREAD}")]
            return found + [f"task {task!r}" for task in _tasks() - self.tasks]

        deadline = time.monotonic() + GRACE
        while len(found := look()) > at_most and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            gc.collect()
        if len(found) > at_most:  # what is there for a moment only is the work of somebody else, in a thread
            await asyncio.sleep(0.02)
            again = look()
            found = [what for what in found if what in again]
        return found

    def _new(self) -> list[str]:
        return [
            *(f"thread {thread.name}" for thread in set(threading.enumerate()) - self.threads),
            *(f"child process {child.pid}" for child in _children() - self.children),
            *(f"open file {name}" for _, name in sorted(_open_files() - self.files)),
        ]


async def tasks_left_behind() -> list[str]:
    """Describe the tasks that still run beside the one that asks, after a moment of grace."""
    deadline = time.monotonic() + 1
    while (found := _tasks()) and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)
    return [f"task {task!r}" for task in found]


def _tasks() -> frozenset[asyncio.Task[Any]]:
    """The tasks of the running loop, without the one that asks."""
    try:
        return frozenset(asyncio.all_tasks() - {asyncio.current_task()})
    except RuntimeError:  # no loop is running
        return frozenset()


def _after_grace(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + GRACE
    while found := look():
        if time.monotonic() > deadline:
            return found
        gc.collect()
        time.sleep(0.02)
    return []


def _children() -> frozenset[psutil.Process]:
    found = set()
    for child in _child_processes():
        try:
            if not any(helper in " ".join(child.cmdline()) for helper in _HELPERS):
                found.add(child)
        except psutil.NoSuchProcess:
            continue
    return frozenset(found)


def _child_processes() -> Iterator[psutil.Process]:
    """On Linux by asking each thread, which takes a fiftieth of looking through all processes."""
    if not (_THREADS / str(os.getpid()) / "children").exists():  # not every kernel tells
        yield from psutil.Process().children()
        return
    for children in _THREADS.glob("*/children"):
        try:
            numbers = children.read_text().split()
        except OSError:  # the thread has ended
            continue
        for number in numbers:
            with suppress(psutil.NoSuchProcess):
                yield psutil.Process(int(number))


def _open_files() -> frozenset[tuple[str, str]]:
    """Number and target of each descriptor; devices that a library keeps open are nobody's leak."""
    found = set()
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.is_dir() else ():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if not target.startswith(("/dev/", "/proc/")):
            found.add((descriptor.name, target))
    return frozenset(found)

"""What a test left behind: threads, child processes, open files, asyncio tasks."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

GRACE = 3.0
"""Seconds within which what is being closed has to be gone."""

HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Children that the standard library starts once and keeps."""


@dataclass(frozen=True)
class Resources:
    """What this process holds at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    files: frozenset[tuple[str, str]]

    @classmethod
    def now(cls) -> "Resources":
        """Look."""
        return cls(frozenset(threading.enumerate()), _children(), _open_files())

    def left_behind(self) -> list[str]:
        """Describe what is there now and was not then, after a time of grace."""
        return _after_grace(self._new)

    def _new(self) -> list[str]:
        return [
            *(f"thread {thread.name}" for thread in set(threading.enumerate()) - self.threads),
            *(f"child process {child.pid}" for child in _children() - self.children),
            *(f"open file {name}" for _, name in sorted(_open_files() - self.files)),
        ]


async def tasks_left_behind() -> list[str]:
    """Describe the tasks that still run beside the one that asks, after a moment of grace."""
    deadline = time.monotonic() + 1
    while (found := _other_tasks()) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return [f"task {task!r}" for task in found]


def _other_tasks() -> set["asyncio.Task[object]"]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


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
    for child in psutil.Process().children():
        try:
            if not any(helper in " ".join(child.cmdline()) for helper in HELPERS):
                found.add(child)
        except psutil.NoSuchProcess:
            continue
    return frozenset(found)


def _open_files() -> frozenset[tuple[str, str]]:
    """Number and target of each descriptor; devices that a library keeps open are nobody's leak."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if not target.startswith(("/dev/", "/proc/")):
            found.add((descriptor.name, target))
    return frozenset(found)

"""What a process does to itself before it works. Imported by workers: no asyncio."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = 500
_ADOPTION_SECONDS = 10.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BLOCK = 128 * 1024
_MUCH = 32 << 20
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when the server is gone, however the server went.

    Linux only. Elsewhere a worker ends when its socket does, once the task at hand is finished.

    Args:
        parent: process id of the server: it may have died before the kernel was told.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def await_adoption(former: int) -> None:
    """Wait until the parent that forked this process has ended; :func:`die_with_parent` tells who is next."""
    until = time.monotonic() + _ADOPTION_SECONDS
    while os.getppid() == former and time.monotonic() < until:
        time.sleep(0.001)


def adopt_orphans(*, wanted: bool) -> None:
    """Have this process become the parent of those below it whose own parent ends. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def name_process(name: str) -> None:
    """Have ``ps`` and ``top`` show what this process is: a forked one has the command line of its parent.

    Args:
        name: at most 15 ASCII characters. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode("ascii"), 0, 0, 0)


def give_back_what_is_freed() -> None:
    """Have memory that is freed go back to the system at once. For server processes, not for workers.

    A server has images of many sizes for a moment, read in one thread and let go of in another. By default,
    glibc keeps such blocks once the first of them was freed, and a heap for each thread; full of holes, they
    grow for hours. So large blocks are the system's, as they are until then, and all threads have one heap.
    Whoever has set that by the environment has had their reasons. glibc only.
    """
    if sys.platform != "linux" or any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for setting, value in (
            (_M_MMAP_THRESHOLD, _LARGE_BLOCK),
            (_M_TRIM_THRESHOLD, _LARGE_BLOCK),
            (_M_ARENA_MAX, 1),
        ):
            mallopt(setting, value)


def give_back_what_is_free() -> None:
    """Give the system back, at once, whatever memory was freed before: a millisecond or two. glibc only."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit on open files to so many, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def leave_signals_to_parent() -> None:
    """Ignore what a terminal or a service manager sends to all: the server drains and ends workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def limit_resources(memory_limit: int | None) -> None:
    """Set the memory ceiling; no core dumps, which would fill a disk with copies of a source's pixels.

    Should the machine itself run out of memory, the kernel shall take a worker and not the server.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceiling = memory_limit if hard == resource.RLIM_INFINITY else min(memory_limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))


class MemoryGauge:
    """Reads the resident memory of this process after every task, so in microseconds: the file stays open."""

    def __init__(self) -> None:
        try:
            self._statm: int | None = os.open("/proc/self/statm", os.O_RDONLY)
        except OSError:
            self._statm = None

    def read(self) -> int:
        """Bytes at present; the highest value so far where ``/proc`` is missing."""
        if self._statm is None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak if sys.platform == "darwin" else peak * 1024
        return int(os.pread(self._statm, 128, 0).split()[1]) * resource.getpagesize()


class SpareMemory:
    """Gives the memory that tasks have freed back to the system, once it may be much. glibc only.

    By itself glibc keeps some 60 MB, and more for another thread. That spares the next large image a few
    milliseconds; until then it is missing elsewhere, once for each worker.

    Args:
        gauge: of this process.
    """

    def __init__(self, gauge: MemoryGauge) -> None:
        self._gauge = gauge
        self._least = gauge.read()

    def give_back(self) -> None:
        """To be called when nobody waits: takes milliseconds if there is much."""
        now = self._gauge.read()
        if now > self._least + _MUCH:
            self.give_all_back()
        else:
            self._least = min(self._least, now)

    def give_all_back(self) -> None:
        """The same, however little it may be."""
        give_back_what_is_free()
        self._least = self._gauge.read()  # the rest is in use

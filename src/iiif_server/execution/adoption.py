"""Becoming the parent of a process whose own parent has ended. Linux only."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final

from iiif_server.execution.confinement import adopt_orphans

_lock: Final = Lock()
_waiting = 0


@contextmanager
def adopting() -> Iterator[None]:
    """Adopt what is orphaned meanwhile, and at no other time strangers, whose end nobody would ask for."""
    _count(+1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    """It is the whole process that adopts, for whichever of its threads and loops."""
    global _waiting  # noqa: PLW0603 - as is what it stands for
    with _lock:
        _waiting += change
        adopt_orphans(wanted=_waiting > 0)


class Ward:
    """A process that is to be adopted, or was.

    Args:
        pid: its process id. It is known to exist, dead or alive.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it, whosoever child it is."""
        if self._descriptor >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self, timeout: float) -> None:
        """Wait for its end, for so many seconds at most, and let go of it. Blocks.

        Its exit code is known then, unless somebody else has become its parent.
        """
        if self._descriptor < 0:
            return
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if poll.poll(1000 * timeout):
            with suppress(ChildProcessError):
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._descriptor)
        self._descriptor = -1

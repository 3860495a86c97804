"""Counting across several processes of one server, by files that they share.

Each process counts in memory that is mapped from files of its own, and whichever is asked adds all up: the
multiprocess mode of ``prometheus_client``. What a supervisor of processes has to do:

1. make an empty directory at each start of the server, best in memory (``/dev/shm``); remove it at the end;
2. start each process with ``telemetry.sharing.multiprocess_environment`` of it in its environment;
3. once a process has ended, call :func:`process_ended` with its id, so that its gauges are forgotten and its
   counters kept.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_LOCK_FILE: Final = "lock"
_ENDED: Final = "ended"
"""Stands where a process id does, in the names of the files that hold what ended processes have counted."""

_LASTING: Final = ("counter", "histogram")


def process_ended(directory: Path, process_id: int) -> None:
    """Add what an ended process has counted to what others had, and forget its gauges. Writes files.

    Without this, gauges keep the values of the ended process, and files of ended processes pile up.

    Raises:
        OSError: the files can't be read or written.
    """
    with _locked(directory, fcntl.LOCK_EX):
        mark_process_dead(process_id, os.fspath(directory))  # type: ignore[no-untyped-call]
        for kind in _LASTING:
            path = directory / f"{kind}_{process_id}.db"
            if path.exists():
                _add(path, directory / f"{kind}_{_ENDED}.db")
                path.unlink()


@contextmanager
def all_processes(directory: Path) -> Iterator[CollectorRegistry]:
    """What all processes together have counted; read it within the block. Reads files."""
    registry = CollectorRegistry()
    with _locked(directory, fcntl.LOCK_SH):
        MultiProcessCollector(registry, os.fspath(directory))  # type: ignore[no-untyped-call]
        yield registry


def _add(source: Path, target: Path) -> None:
    """Add every value of one file to that of the same name in another."""
    total = MmapedDict(os.fspath(target))  # type: ignore[no-untyped-call]
    try:
        # The process may have been ended amid growing its file: what can be read, counts.
        with suppress(RuntimeError, ValueError, struct.error):
            for key, value, _, _ in MmapedDict.read_all_values_from_file(os.fspath(source)):  # type: ignore[no-untyped-call]
                so_far, _ = total.read_value(key)  # type: ignore[no-untyped-call]
                total.write_value(key, so_far + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        total.close()  # type: ignore[no-untyped-call]


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Nobody adds files up while they are read, so that nothing is counted twice or not at all."""
    descriptor = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)

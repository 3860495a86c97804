"""The fork server: ``python -m iiif_server.execution.forking DESCRIPTOR NEWS PARENT MODULE``.

It has imported what workers need, so that one is there in milliseconds and shares that memory with the
others. It has one thread, and does nothing but fork: it touches no source and no network.

That command only loads, forks the fork server, and ends: what is mapped of libraries' files because it was
needed to load them, some 8 MiB, is not mapped in a process that was forked since. The *news* is a socket over
which the parent is told of the fork server; once it is ready to adopt that, it ends the process that loaded.

A *request* is a message over its socket that carries the ends of two others: the *tether*, over which whoever
asked is told of the worker's start and end, and the socket that the worker is to work on. A request without
the latter asks whether anybody is here. The fork server is the parent of its workers, which end with it; and
the end of a tether ends its worker, since whoever asked for that one has gone. Linux only. Imported by
workers: no asyncio.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from iiif_server.execution import worker
from iiif_server.execution.confinement import (
    allow_open_files,
    await_adoption,
    die_with_parent,
    give_back_what_is_free,
    leave_signals_to_parent,
    name_process,
)
from iiif_server.execution.tether import HERE, NUMBER


def main(descriptor: int, news: int, parent: int, module: str) -> None:
    """Fork workers until the parent has gone."""
    name_process("iiif-load-work")
    leave_signals_to_parent()
    die_with_parent(parent)
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001 - whatever it is, the workers' factory fails over it, or does without
        traceback.print_exc()
    gc.disable()  # from now on, a collection would write into what is shared
    gc.collect()
    give_back_what_is_free()
    gc.freeze()
    with socket.socket(fileno=news) as told:
        _continue_in_child(told)
    die_with_parent(parent)
    name_process("iiif-fork-work")
    os.setpgid(0, 0)
    allow_open_files(_OPEN_FILES)
    own = os.getpid()
    with ForkServer(socket.socket(fileno=descriptor)) as server:
        sock = server.serve()
    if sock is not None:
        gc.enable()
        os.setpgid(0, 0)
        worker.main(sock.detach(), own)


def _continue_in_child(told: socket.socket) -> None:
    """Return in a fork of this process once this one has ended, as it does when the parent wants it to."""
    loader = os.getpid()
    if pid := os.fork():
        with suppress(OSError):  # the parent has gone
            told.send(NUMBER.pack(pid))
            told.recv(1)  # nothing ever comes but its end
        os._exit(0)
    await_adoption(loader)


_OPEN_FILES: Final = 4096
"""Two for each worker, and there are 1024 at most."""


@dataclass(frozen=True, slots=True)
class _Child:
    """A worker, a descriptor that tells its end, and the way to whoever asked for it."""

    pid: int
    descriptor: int
    tether: socket.socket

    def close(self) -> None:
        os.close(self.descriptor)
        self.tether.close()


class ForkServer:
    """Forks, and says what becomes of those that it forked.

    Args:
        requests: the socket that requests come by.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of every descriptor, in a worker that has just begun as well."""
        for child in set(self._children.values()):
            child.close()
        self._requests.close()

    def serve(self) -> socket.socket | None:
        """Work until nobody can ask any more.

        Returns:
            ``None`` then; the socket to work on in each process that was forked.
        """
        while True:
            # What is asked comes last: no descriptor of this round is to be another one by its turn.
            for descriptor, _ in sorted(
                self._poll.poll(), key=lambda event: event[0] == self._requests.fileno()
            ):
                if child := self._children.get(descriptor):
                    self._look_after(child, descriptor)
                elif descriptor == self._requests.fileno():
                    message, descriptors, _, _ = socket.recv_fds(
                        self._requests, 1, 2, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
                    )
                    if not message:
                        return None
                    if (
                        sock := self._answer([socket.socket(fileno=each) for each in descriptors])
                    ) is not None:
                        return sock

    def _answer(self, sockets: list[socket.socket]) -> socket.socket | None:
        """Do what is asked; returns the socket to work on in the process that was forked."""
        if not sockets:  # they could not be received: the asker finds its tether ended
            return None
        tether, *others = sockets
        if not others:
            with tether, suppress(OSError):
                tether.send(HERE, socket.MSG_DONTWAIT)
            return None
        with others[0] as sock:
            try:
                pid = os.fork()
            except OSError:  # too many processes, no memory: the end of the tether tells
                traceback.print_exc()
                tether.close()
                return None
            if pid == 0:
                tether.close()
                return sock.dup()
        self._add(_Child(pid, os.pidfd_open(pid), tether))
        return None

    def _add(self, child: _Child) -> None:
        for descriptor in (child.descriptor, child.tether.fileno()):
            self._children[descriptor] = child
            self._poll.register(descriptor, select.POLLIN)
        with suppress(OSError):  # nobody wants it any more: its tether has ended
            socket.send_fds(child.tether, [NUMBER.pack(child.pid)], [child.descriptor], socket.MSG_DONTWAIT)

    def _look_after(self, child: _Child, descriptor: int) -> None:
        """Either the worker has ended, or its tether."""
        if descriptor != child.descriptor:
            self._forget(descriptor)
            os.kill(child.pid, signal.SIGKILL)
            return
        _, status = os.waitpid(child.pid, 0)
        with suppress(OSError):
            child.tether.send(NUMBER.pack(os.waitstatus_to_exitcode(status)), socket.MSG_DONTWAIT)
        self._forget(descriptor)
        self._forget(child.tether.fileno())
        child.close()

    def _forget(self, descriptor: int) -> None:
        if self._children.pop(descriptor, None):
            self._poll.unregister(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

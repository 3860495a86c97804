"""What server processes are forked from: ``python -m iiif_server.serving.template PARENT DESCRIPTOR``.

It has imported the server and the installed plugins, and has read the configuration if there is one already,
so that a server process is there in milliseconds and shares that memory with the others. It has one thread,
and does nothing but fork.

A *request* is a message over its socket that carries descriptors: a socket to say the new process's id over,
and those that the process is to have. The new process is no child of this one but adopted by
the supervisor, whose death ends it and who learns its exit code; the end of the template hurts nobody. For
that, the supervisor has declared itself the one who adopts (``PR_SET_CHILD_SUBREAPER``). Linux only.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from iiif_server.errors import ConfigurationError
from iiif_server.execution.confinement import (
    await_adoption,
    die_with_parent,
    leave_signals_to_parent,
    name_process,
)
from iiif_server.execution.tether import NUMBER
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.serving import child
from iiif_server.serving.application import Read, read
from iiif_server.serving.loops import loop_factory
from iiif_server.serving.orders import Orders
from iiif_server.serving.spawning import UNFIT
from iiif_server.web.assets import load_assets

_MOST: Final = 64
"""Descriptors in a request."""


def main(descriptor: int, parent: int, orders: Orders | None = None) -> int:
    """Fork server processes until the supervisor has gone; returns the exit code, of each of them as well.

    Args:
        descriptor: of the socket that requests come by.
        parent: process id of the supervisor.
        orders: that most of the processes will have.
    """
    name_process("iiif-fork-web")
    leave_signals_to_parent()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(parent)
    plugins = _load()
    known = read_ahead(orders, plugins)
    if len(os.listdir("/proc/self/task")) > 1:
        return UNFIT
    gc.disable()  # from now on, a collection would write into what is shared
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as requests:
        descriptors = _serve(requests)
    if descriptors is None:
        return 0
    gc.enable()
    return child.serve(descriptors, parent, plugins, known)


def _load() -> Plugins | None:
    """Import what server processes need; they tell themselves what is wrong with the plugins."""
    loop_factory()
    load_assets()
    try:
        return load_plugins()
    except ConfigurationError:
        return None


def read_ahead(orders: Orders | None, plugins: Plugins | None) -> Read | None:
    """Read what server processes need not read each; they tell themselves what is wrong with it."""
    if orders is not None and plugins is not None:
        with suppress(ConfigurationError):
            return read(orders, plugins)
    return None


def _serve(requests: socket.socket) -> list[int] | None:
    """Fork when asked; returns in each new process what it is to have, here nothing once nobody can ask."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, _MOST, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return None
        if descriptors and _fork(descriptors[0]):
            os.close(descriptors[0])
            return descriptors[1:]
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(told: int) -> bool:
    """Fork twice, so that the new process is adopted; says whether this is it.

    Args:
        told: where the new process's id is written. Its end, once this process has closed it, says that the
            new process has been adopted and has a process group of its own.
    """
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    between = os.getpid()
    try:
        new = os.fork()
    except OSError:  # too many processes, no memory
        os._exit(1)
    if new:
        os.write(told, NUMBER.pack(new))
        os._exit(0)
    await_adoption(between)
    os.setpgid(0, 0)
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[2]), int(sys.argv[1])))

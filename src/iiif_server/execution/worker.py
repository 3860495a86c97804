"""The worker process: forked, or ``python -m iiif_server.execution.worker DESCRIPTOR PARENT``.

Synchronous and single-threaded: read a task, call its handler, send the answer, until the socket ends. It
imports neither asyncio nor aiohttp, and trusts what the server sends; the server does not trust what it
answers.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import pickle
import select
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final, cast

from iiif_server.errors import RenderFailed
from iiif_server.execution.answers import encode_failure, encode_success
from iiif_server.execution.confinement import (
    MemoryGauge,
    SpareMemory,
    die_with_parent,
    leave_signals_to_parent,
    limit_resources,
    name_process,
)
from iiif_server.execution.framing import MAX_HEADER, PREFIX, send_frame
from iiif_server.execution.messages import Orders

_PAUSE: Final = 500
"""Milliseconds without a task after which a worker gives back memory."""

Handler = Callable[[Any], tuple[dict[str, Any], bytes | memoryview]]


def main(descriptor: int, parent: int) -> None:
    """Serve tasks until the socket ends."""
    name_process("iiif-worker")
    leave_signals_to_parent()
    die_with_parent(parent)
    faulthandler.enable()  # a crash in a codec leaves its stack in the server's log
    with socket.socket(fileno=descriptor) as sock, sock.makefile("rb") as stream:
        sock.set_inheritable(False)
        first = _receive(stream)
        if first is None:
            return
        orders: Orders = pickle.loads(first)  # noqa: S301 - from our own parent
        try:
            handlers = _create_handlers(orders)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server reports it
            send_frame(sock, _describe_bad_start(error))
            return
        send_frame(sock, json.dumps({"ready": True}).encode())
        gauge = MemoryGauge()
        spare = SpareMemory(gauge)
        with suppress(BrokenPipeError, ConnectionResetError):  # nobody wants the answer any more
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            while (frame := _next(stream, poll, spare)) is not None:
                send_frame(sock, *_perform(frame, handlers, gauge, orders.max_answer))
                spare.give_back()


def _next(stream: BinaryIO, poll: select.poll, spare: SpareMemory) -> bytes | None:
    """The next task, which is sent once the one before is answered; None at the end of the stream.

    Who is kept waiting for it gives back the memory that freed images have left.
    """
    if not poll.poll(_PAUSE):
        spare.give_all_back()
    return _receive(stream)


def _receive(stream: BinaryIO) -> bytes | None:
    """The next frame's header; requests have no body. None at the end of the stream."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    size, _ = PREFIX.unpack(prefix)
    header = stream.read(size)
    return header if len(header) == size else None


def _create_handlers(orders: Orders) -> Mapping[str, Handler]:
    limit_resources(orders.memory_limit)
    module, _, function = orders.factory.partition(":")
    factory = getattr(importlib.import_module(module), function)
    return cast("Mapping[str, Handler]", factory(pickle.loads(orders.argument)))  # noqa: S301 - as above


def _describe_bad_start(error: Exception) -> bytes:
    summary = "".join(traceback.format_exception_only(error)).strip()
    details = "".join(traceback.format_exception(error))
    # JSON may grow a character sixfold.
    return json.dumps({"failed": summary[:4000], "details": details[-MAX_HEADER // 16 :]}).encode()


def _perform(
    frame: bytes, handlers: Mapping[str, Handler], gauge: MemoryGauge, max_answer: int
) -> tuple[bytes, memoryview]:
    """Do one task; whatever it raises becomes an answer."""
    try:
        method, argument = pickle.loads(frame)  # noqa: S301 - from our own parent
        meta, body = handlers[method](argument)
        content = memoryview(body).cast("B")
        header = encode_success(meta, gauge.read())
        _check_size("meta data", len(header), MAX_HEADER)
        _check_size("image", len(content), max_answer)
    except Exception as error:  # noqa: BLE001 - the border of the process
        return encode_failure(error, gauge.read()), memoryview(b"")
    return header, content


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise RenderFailed("The result is too large to be sent.", log=f"{what}: {size} bytes, limit {limit}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Ask a server, over kept connections, with so little work that the client is not what is measured."""

import contextlib
import io
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Self

import httptools
from benchmarks.peers.requests import Request
from PIL import Image

TIMEOUT = 60.0
"""Seconds for one answer."""

KEPT = 40
"""So many answers of one load are looked at afterwards."""


@dataclass
class Answer:
    """What came back; times in seconds since the load began.

    Attributes:
        status: 0 if no whole answer came.
        size: of the body, in bytes.
        body: only if it was to be kept.
    """

    request: Request
    started: float
    ended: float = 0.0
    status: int = 0
    size: int = 0
    body: bytes = b""

    def problem(self) -> str | None:
        """What is wrong with it: a picture must have the asked size, give or take a pixel of rounding."""
        if self.status != 200:
            return f"{self.status or 'no answer'}: {self.request.path}"
        if self.body and self.request.width:
            try:
                with Image.open(io.BytesIO(self.body)) as image:
                    image.load()
            except (OSError, SyntaxError):
                return f"no image: {self.request.path}"
            if max(abs(image.width - self.request.width), abs(image.height - self.request.height)) > 1:
                return f"{image.width} x {image.height}: {self.request.path}"
        return None


class _Connection:
    """At most one request under way; the methods named ``on_…`` are called by httptools."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket: socket.socket | None = None
        self.answer: Answer | None = None
        self.done = False
        self._keep = False

    def ask(self, prefix: str, answer: Answer, *, keep: bool) -> socket.socket:
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT)
            self._parser = httptools.HttpResponseParser(self)
        self.answer, self.done, self._keep = answer, False, keep
        request = f"GET {prefix}{answer.request.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n"
        self.socket.sendall(request.encode())
        return self.socket

    def receive(self) -> bool:
        """Take what there is; whether the answer has ended, whole or not."""
        assert self.socket is not None
        try:
            data = self.socket.recv(1 << 18)
            self._parser.feed_data(data)
        except (OSError, httptools.HttpParserError):
            data = b""
        if not data or (self.done and not self._parser.should_keep_alive()):
            self.close()
        return self.done or not data

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def on_body(self, data: bytes) -> None:
        assert self.answer is not None
        self.answer.size += len(data)
        if self._keep:
            self.answer.body += data

    def on_message_complete(self) -> None:
        assert self.answer is not None
        self.answer.status = self._parser.get_status_code()
        self.done = True


class Client:
    """Some kept connections to one server.

    Args:
        port: on the loopback interface.
        prefix: of every path, with the slash at its end.
        clients: how many requests are under way at the same time.
    """

    def __init__(self, port: int, prefix: str, clients: int) -> None:
        self._prefix = prefix
        self._connections = [_Connection(port) for _ in range(clients)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.close()

    def ask(self, requests: Iterable[Request], seconds: float = 3600.0, keep_every: int = 17) -> list[Answer]:
        """Ask for each once, in order; returns the answers in the order in which they ended.

        Args:
            requests: to take the next from whenever a connection is free.
            seconds: after which no further one is begun.
            keep_every: the body of each such answer is kept, of `KEPT` at most.
        """
        coming, answers, begun = enumerate(requests), list[Answer](), time.perf_counter()
        with contextlib.closing(DefaultSelector()) as selector:

            def begin(connection: _Connection) -> None:
                now = time.perf_counter() - begun
                if now < seconds and (found := next(coming, None)) is not None:
                    keep = found[0] % keep_every == 0 and found[0] // keep_every < KEPT
                    opened = connection.ask(self._prefix, Answer(found[1], now), keep=keep)
                    selector.register(opened, EVENT_READ, connection)

            for connection in self._connections:
                begin(connection)
            while under_way := selector.get_map():
                ready = [key for key, _ in selector.select(TIMEOUT)]
                for key in ready or list(under_way.values()):
                    connection = key.data
                    if not ready:
                        connection.close()  # nothing came for so long: none of them is waited for
                    elif not connection.receive():
                        continue
                    selector.unregister(key.fileobj)
                    connection.answer.ended = time.perf_counter() - begun
                    answers.append(connection.answer)
                    if ready:
                        begin(connection)
        return answers

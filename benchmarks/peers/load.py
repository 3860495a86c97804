"""Ask a server, over kept connections, with so little work that the client is not what is measured."""

import io
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from selectors import EVENT_READ, BaseSelector, DefaultSelector
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

    # One for all, since they are read in turn: new ones of this size cost more than the rest of the client.
    _room = memoryview(bytearray(1 << 18))

    def __init__(self, port: int, selector: BaseSelector) -> None:
        self._port, self._selector = port, selector
        self._socket: socket.socket | None = None
        self._keep = self._done = self._is_kept = False

    def ask(self, prefix: str, answer: Answer, *, keep: bool) -> None:
        """Send a request; what comes goes into the answer."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT)
            self._selector.register(self._socket, EVENT_READ, self)
            self._parser = httptools.HttpResponseParser(self)
        self.answer, self._done, self._keep = answer, False, keep
        request = f"GET {prefix}{answer.request.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n"
        self._socket.sendall(request.encode())

    def receive(self) -> bool:
        """Take what there is; whether the answer has ended, whole or not."""
        assert self._socket is not None
        try:
            size = self._socket.recv_into(self._room)
            self._parser.feed_data(self._room[:size])
        except (OSError, httptools.HttpParserError):
            size = 0
        if not size or (self._done and not self._is_kept):
            self.close()
        return self._done or not size

    def close(self) -> None:
        """The next request opens it again."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def on_body(self, data: bytes) -> None:
        self.answer.size += len(data)
        if self._keep:
            self.answer.body += data

    def on_message_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()
        self._is_kept = self._parser.should_keep_alive()  # afterwards the parser says no, whatever came
        self._done = True


class Client:
    """Some kept connections to one server.

    Args:
        port: on the loopback interface.
        prefix: of every path, with the slash at its end.
        clients: how many requests are under way at the same time.
    """

    def __init__(self, port: int, prefix: str, clients: int) -> None:
        self._prefix = prefix
        self._selector = DefaultSelector()
        self._connections = [_Connection(port, self._selector) for _ in range(clients)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.close()
        self._selector.close()

    def ask(self, requests: Iterable[Request], seconds: float = 3600.0, keep_every: int = 17) -> list[Answer]:
        """Ask for each once, in order; returns the answers in the order in which they ended.

        Args:
            requests: to take the next from whenever a connection is free.
            seconds: after which no further one is begun.
            keep_every: the body of each such answer is kept, of `KEPT` at most.
        """
        coming, answers, begun = enumerate(requests), list[Answer](), time.perf_counter()
        under_way = set[_Connection]()

        def begin(connection: _Connection) -> None:
            now = time.perf_counter() - begun
            if now < seconds and (found := next(coming, None)) is not None:
                keep = found[0] % keep_every == 0 and found[0] // keep_every < KEPT
                connection.ask(self._prefix, Answer(found[1], now), keep=keep)
                under_way.add(connection)

        def end(connection: _Connection) -> None:
            connection.answer.ended = time.perf_counter() - begun
            answers.append(connection.answer)
            under_way.discard(connection)

        for connection in self._connections:
            begin(connection)
        while under_way:
            ready = self._selector.select(TIMEOUT)
            for key, _ in ready:
                connection = key.data
                if connection not in under_way:
                    connection.close()  # let go by the server
                elif connection.receive():
                    end(connection)
                    begin(connection)
            if not ready:  # nothing came for so long: none of them is waited for
                for connection in list(under_way):
                    connection.close()
                    end(connection)
        return answers

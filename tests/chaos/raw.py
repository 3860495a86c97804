"""A client that sends any bytes as they are, and keeps its connection for as long as the server does."""

import http.client
import re
import socket
from dataclasses import dataclass
from typing import Self

SECONDS = 10.0
"""Longer than this no answer may take."""

_TELLTALE = re.compile(rb'Traceback|File "|site-packages|iiif_server[./]|0x[0-9a-f]{8}')


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of it.
        headers: all of them.
        body: as it came.
    """

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def media_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0]

    def tells_nothing_of(self, *secrets: str) -> bool:
        """Whether neither body nor headers hold any of these texts, or anything of our code."""
        everything = str(self.headers).encode("utf-8", "surrogateescape") + self.body
        return _TELLTALE.search(everything) is None and not any(
            secret.encode() in everything for secret in secrets
        )


class RawClient:
    """One connection at a time, made anew when the server has closed it."""

    def __init__(self, port: int | None, seconds: float = SECONDS) -> None:
        assert port is not None
        self._port = port
        self._seconds = seconds
        self._sock: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def get(self, target: str | bytes, *headers: str | bytes) -> Answer:
        """Ask for a target, with a Host header unless there is one among these lines."""
        lines = [line.encode("latin-1") if isinstance(line, str) else line for line in headers]
        if not any(line.lower().startswith(b"host:") for line in lines):
            lines.insert(0, b"Host: 127.0.0.1")
        path = target.encode("utf-8", "surrogateescape") if isinstance(target, str) else target
        return self.send(b"\r\n".join((b"GET " + path + b" HTTP/1.1", *lines, b"", b"")))

    def write(self, target: str) -> None:
        """Ask over a new connection, and do not wait for the answer."""
        self.close()
        self._connect().sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def read(self) -> Answer:
        """The answer to what was written."""
        return self._receive(self._connect(), "GET")

    def send(self, request: bytes) -> Answer:
        """Send a request's bytes and take in its answer.

        Raises:
            OSError: the connection broke, or there was no answer in time.
            http.client.HTTPException: what came is no answer.
        """
        kept = self._sock is not None
        try:
            return self._send(request)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not kept:
                raise
        return self._send(request)  # it was idle, and closed meanwhile

    def _send(self, request: bytes) -> Answer:
        sock = self._connect()
        sock.sendall(request)
        return self._receive(sock, request.partition(b" ")[0].decode("latin-1"))

    def _connect(self) -> socket.socket:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=self._seconds)
        return self._sock

    def _receive(self, sock: socket.socket, method: str) -> Answer:
        response = http.client.HTTPResponse(sock, method=method)
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
        if response.will_close:
            self.close()
        return Answer(response.status, response.headers, body)

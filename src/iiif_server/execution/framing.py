"""The frames between the server and a worker: two lengths, a header, a raw body.

Imported by workers: no asyncio.

Image bytes are the body and are never pickled, escaped or copied: the receiver allocates the body once, at
its announced size, and the kernel writes into it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from io import BytesIO

PREFIX = struct.Struct("!IQ")
MAX_HEADER = 4 * 1024**2
_SCRATCH_SIZE = 64 * 1024


class FrameError(Exception):
    """The other side announced a frame beyond the limits."""


def encode_head(header: bytes, body_size: int = 0) -> bytes:
    """Everything of a frame but its body."""
    return PREFIX.pack(len(header), body_size) + header


def send_frame(sock: socket.socket, header: bytes, body: bytes | memoryview = b"") -> None:
    """Send a frame over a blocking socket; a big body is not copied on the way."""
    head = memoryview(encode_head(header, len(body)))
    content = memoryview(body)
    sent = sock.sendmsg([head, content])
    if sent < len(head):
        sock.sendall(head[sent:])
    # Nothing more is sent once all is: by then the other end may have its answer, and have hung up.
    if rest := content[max(0, sent - len(head)) :]:
        sock.sendall(rest)


class _Field:
    """A part of a frame while it arrives."""

    def __init__(self, size: int) -> None:
        # BytesIO hands out a writable view of the very bytes object that getvalue() returns later: 30 MB are
        # received without the copy that bytes(bytearray) would cost, 27 ms of a standing event loop.
        self._store = BytesIO(bytes(size))
        self.size = size
        self.filled = 0

    @property
    def missing(self) -> int:
        return self.size - self.filled

    def window(self) -> memoryview:
        """All that is missing but the last byte.

        A view that the event loop still holds makes finish() copy, and uvloop holds it while it tells that
        something has come. So the last byte comes another way, when the loop has let go.
        """
        return self._store.getbuffer()[self.filled : self.size - 1]

    def fill(self, data: memoryview) -> int:
        """Take what fits from the front of ``data``; returns how much."""
        count = min(len(data), self.missing)
        # No view is kept: a half-filled field is then dropped with its worker without a complaint.
        with self._store.getbuffer() as view:
            view[self.filled : self.filled + count] = data[:count]
        self.filled += count
        return count

    def finish(self) -> bytes:
        return self._store.getvalue()


class FrameDecoder:
    """Assembles frames from pieces of any size, without blocking and without input/output of its own.

    The owner asks for a buffer, has something written to its front, and says how much: the contract of
    :class:`asyncio.BufferedProtocol`. Small pieces go through a scratch buffer, so that a whole small frame
    takes one read; the rest of a big field is read straight into its place.

    Args:
        on_frame: called with header and body of each complete frame.
        max_body: largest body accepted.
        max_header: largest header accepted.
    """

    def __init__(
        self, on_frame: Callable[[bytes, bytes], None], *, max_body: int, max_header: int = MAX_HEADER
    ) -> None:
        self._on_frame = on_frame
        self._max_body = max_body
        self._max_header = max_header
        self._scratch = memoryview(bytearray(_SCRATCH_SIZE))
        self._in_window = False
        self._field = _Field(PREFIX.size)
        self._done: list[bytes] = []
        self._body_size = 0

    def get_buffer(self) -> memoryview:
        """Where the next bytes are to be written."""
        if self._field.missing < _SCRATCH_SIZE:
            return self._scratch
        self._in_window = True
        return self._field.window()

    def received(self, count: int) -> None:
        """Take in ``count`` bytes written to the buffer.

        Raises:
            FrameError: the frame announced is too large; the stream is of no further use.
        """
        if self._in_window:
            self._in_window = False
            self._field.filled += count
            return
        data = self._scratch[:count]
        while data:
            data = data[self._field.fill(data) :]
            self._advance()

    def _advance(self) -> None:
        """Go to the next field for as long as the present one is complete."""
        while not self._field.missing:
            content = self._field.finish()
            self._done.append(content)
            match len(self._done):
                case 1:
                    header_size, self._body_size = PREFIX.unpack(content)
                    if header_size > self._max_header or self._body_size > self._max_body:
                        raise FrameError(f"a frame of {header_size} + {self._body_size} bytes was announced")
                    self._field = _Field(header_size)
                case 2:
                    self._field = _Field(self._body_size)
                case _:
                    _, header, body = self._done
                    self._done = []
                    self._field = _Field(PREFIX.size)
                    self._on_frame(header, body)

"""HTTP of one connection: aiohttp's, within limits that aiohttp does not have.

Nothing of aiohttp that is private is used: its handler is an asyncio protocol, whose methods asyncio calls,
and its server calls one function with each request.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from aiohttp import web

from iiif_server.web.connections import CONNECTIONS, Connection, ConnectionLimits, Connections, Refusal
from iiif_server.web.doorway import DOORWAY, Asked, Doorway
from iiif_server.web.heads import Wish, read_head
from iiif_server.web.lingering import Refused
from iiif_server.web.refusals import raw_refusal, refusal, status_of_malformed

HTTP_OPTIONS = web.AppKey("http_options", dict[str, Any])
"""What aiohttp's handler of connections is made with, by whichever server."""

_FIELDS: Final = 4
"""A head has a request line and so many of the largest fields, at most; like nginx's buffers."""

_MOMENT: Final = 0.05
_NEVER: Final = 86_400.0

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpProtocol(web.RequestHandler):
    """One connection.

    Args:
        server: aiohttp's, which knows its connections.
        connections: ours, which limits them.
        refused: where those are kept that there is no place for.
        doorway: answers and refuses before aiohttp does, if there is one.
        options: of aiohttp's handler.
    """

    __slots__ = (
        *(
            "_asked",
            "_awaited",
            "_checking",
            "_connection",
            "_connections",
            "_doorway",
            "_head_bytes",
            "_held",
            "_is_paused",
        ),
        *("_is_plain", "_most_head", "_peer", "_refused", "_wire"),
    )

    def __init__(
        self,
        server: web.Server,
        connections: Connections,
        refused: Refused,
        doorway: Doorway | None,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._connections = connections
        self._refused = refused
        self._doorway = doorway
        self._peer = ""
        # Whether aiohttp has had whole heads only, one at a time; and those that it has not begun with yet.
        self._is_plain = False
        self._awaited: deque[Wish | None] = deque()
        self._asked: Asked | None = None
        # What is not begun with before there is an answer: to the first of it, or to aiohttp's last request.
        self._held: list[bytes] | None = None
        self._is_paused = False
        self._connection: Connection | None = None
        self._wire: asyncio.Transport | None = None
        self._most_head = self.max_line_size + _FIELDS * self.max_field_size
        self._head_bytes = 0
        self._checking: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it before aiohttp knows of it."""
        self._wire = wire = cast(asyncio.Transport, transport)
        peer = wire.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        admitted = self._connections.admit(self, self._peer)
        if isinstance(admitted, Refusal):
            self._refused.add(wire, raw_refusal(admitted))
            return
        self._connection = admitted
        self._is_plain = self._doorway is not None and bool(admitted.client)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Give a ready answer, or watch how long a head becomes, and in what time."""
        connection = self._connection
        assert connection is not None
        if self._held is not None and data:
            self._hold(data)
            return
        if self._is_plain and data and self._has_ready_answer(data):
            return
        self._pass_on(data, connection)

    def _pass_on(self, data: bytes, connection: Connection) -> None:
        """To aiohttp."""
        if data and not connection.requests:
            connection.heard()
            self._head_bytes += len(data)
            if self._head_bytes > self._most_head and self._checking is None:
                # The head may be complete, and this the body: then the request is about to be handled.
                loop = asyncio.get_running_loop()
                self._checking = loop.call_later(_MOMENT, self._refuse_long_head)
        super().data_received(data)

    def resume_writing(self) -> None:
        """The client takes what is written."""
        if self._connection is not None:
            self._connection.taken()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        if self._connection is not None:
            self._connections.closed(self._connection)
        if self._checking is not None:
            self._checking.cancel()
        if self._doorway is not None:
            self._doorway.ahead -= sum(wish is not None for wish in self._awaited)
        self._awaited.clear()
        if self._asked is not None:
            self._asked.leave()
        super().connection_lost(exc)

    # What aiohttp calls.

    def request_began(self, request: web.BaseRequest) -> None:
        """Called in the task of the request, which ends when the answer is sent, or never will be."""
        task = asyncio.current_task()
        assert task is not None
        assert self._connection is not None
        self._head_bytes = 0
        self._connection.begin()
        wish = self._awaited.popleft() if self._awaited else None
        if wish is not None and self._doorway is not None:
            self._doorway.ahead -= 1
        task.add_done_callback(functools.partial(self._request_ended, request, wish))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request in the form of all errors. Nothing of it is repeated."""
        super().handle_error(request, status, exc, message)  # logs it, and fails if an answer has begun
        if status == 400:
            status = status_of_malformed(exc, self.max_line_size, self.max_field_size)
        return refusal(status)

    # What the limits ask for.

    def let_go(self, *, is_late: bool) -> None:
        """Close, once what was written has been sent."""
        if is_late and self._head_bytes:
            self._refuse(408)
        else:
            self.force_close()

    def cut(self) -> None:
        """Close at once, and forget what was not sent."""
        if self._wire is not None:
            self._wire.abort()

    def unsent(self) -> int:
        """Bytes that the client has not taken."""
        return self._wire.get_write_buffer_size() if self._wire is not None else 0

    def _request_ended(self, request: web.BaseRequest, wish: Wish | None, task: asyncio.Task[Any]) -> None:
        if self._connection is not None:
            self._connection.end()
        if wish is not None and self._doorway is not None:
            self._doorway.answers.learn(wish, request, task)
        if _is_last(task):
            self._held = None
        elif self._held is not None and not self._awaited:
            self._take_held()

    def _take_held(self) -> None:
        """Take what came meanwhile, in its turn."""
        held, self._held = self._held or [], None
        if self._wire is None or self._wire.is_closing():
            return
        if self._is_paused:
            self._is_paused = False
            self._wire.resume_reading()
        for data in held:
            self.data_received(data)

    def _has_ready_answer(self, data: bytes) -> bool:
        """Give the answer, if it is ready and the client has taken what it got before."""
        found = read_head(data)
        if not isinstance(found, Wish):
            self._is_plain = found
            self._awaited.append(None)
            return False
        if self._connection is None or self._wire is None or self._wire.is_closing() or self._doorway is None:
            self._leave(found)
            return False
        if self._awaited or self._connection.requests:
            # Often its answer was sent just now: then this one need not take aiohttp's way as well.
            self._held = [data]
            return True
        if self.unsent():
            self._leave(found)
            return False
        answer = self._doorway.answers.find(found, self._peer)
        if answer is not None:
            self._connection.answered()
            self._wire.writelines(answer)
        elif asked := self._doorway.ask(found, self._peer, functools.partial(self._told, found)):
            self._connection.begin()
            self._asked = asked
            self._held = [data]
        else:
            self._leave(found)
            return False
        return True

    def _leave(self, wish: Wish) -> None:
        """Leave it to aiohttp, which has not begun with it yet."""
        self._awaited.append(wish)
        if self._doorway is not None:
            self._doorway.ahead += 1

    def _told(self, wish: Wish, answer: tuple[bytes, bytes] | None) -> None:
        """Give the answer, or hand the wish on. Then comes what came meanwhile."""
        assert self._connection is not None
        assert self._held is not None
        data = self._held.pop(0)
        self._asked = None
        self._connection.end()
        if self._wire is None or self._wire.is_closing():
            return
        if answer is not None:
            self._wire.writelines(answer)
        else:
            self._leave(wish)
            self._pass_on(data, self._connection)
        self._take_held()

    def _hold(self, data: bytes) -> None:
        assert self._held is not None
        self._held.append(data)
        if self._wire is not None and sum(map(len, self._held)) > self._most_head:
            self._is_paused = True
            self._wire.pause_reading()

    def _refuse_long_head(self) -> None:
        self._checking = None
        if self._head_bytes > self._most_head:
            self._refuse(431)

    def _refuse(self, status: int) -> None:
        """Answer that a head can't be read, and leave the connection, on which more of it may come."""
        if self._wire is not None and not self._wire.is_closing():
            self._wire.resume_reading()
            self._refused.add(self._wire, raw_refusal(status))
            self.transport = None  # or aiohttp would close it
            self.connection_lost(None)


class ProtocolFactory:
    """Makes the protocol of each connection that a server accepts.

    Args:
        app: whose connections they are.
        server: aiohttp's, of this application.

    Attributes:
        connections: that there are.
    """

    def __init__(self, app: web.Application, server: web.Server) -> None:
        self.connections = app.get(CONNECTIONS) or Connections(ConnectionLimits())
        self._server = server
        # Here, idle connections are closed by the limits. aiohttp's own timer is for servers without them.
        options = app.get(HTTP_OPTIONS) or {}
        self._options = {**options, "keepalive_timeout": _NEVER, "access_log": None}
        self._refused = Refused()
        self._doorway = app.get(DOORWAY)
        server.request_handler = _watched(server.request_handler)

    def __call__(self) -> HttpProtocol:
        """Make one."""
        return HttpProtocol(self._server, self.connections, self._refused, self._doorway, self._options)

    def begin_to_end(self) -> None:
        """Have each answer say from now on that it is the connection's last."""
        if self._doorway is not None:
            self._doorway.stop()

    def close(self) -> None:
        """Let go of what aiohttp does not know of."""
        self._refused.close()
        if self._doorway is not None:
            self._doorway.close()


def _is_last(task: asyncio.Task[Any]) -> bool:
    """Whether a request of aiohttp ended so that nothing more is answered on its connection."""
    if task.cancelled() or task.exception() is not None:
        return True
    response, was_lost = task.result()
    return was_lost or not response.keep_alive


def _watched(handler: _Handler) -> _Handler:
    """Tell a connection of its request before that is handled."""

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        cast(HttpProtocol, request.protocol).request_began(request)
        return handler(request)

    return handle

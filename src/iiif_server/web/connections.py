"""The connections of one process: how long each may wait, how many there may be, and which give way."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from aiohttp import web

from iiif_server.caches.throttle import ThrottledLog

logger = logging.getLogger(__name__)

PROXY_IDLE_SECONDS: Final = 3600.0
"""For a trusted proxy's connection to wait: closing it would cross with a request that the proxy sends."""

GRACE_SECONDS: Final = 0.5
"""Whoever has waited less does not give way: its request may be on the way."""

_IPV6_PREFIX: Final = 64
"""What is handed to one customer: the addresses in it are his to choose."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may take.

    Attributes:
        head_seconds: until a request's head is complete, from the accept or from its first byte.
        idle_seconds: for which a connection may wait for its next request.
        send_seconds: for which a client may take nothing of what waits for it.
        most: connections at the same time.
        most_per_client: of them, of one address that is no trusted proxy's.
    """

    head_seconds: float = 10.0
    idle_seconds: float = 15.0
    send_seconds: float = 60.0
    most: int = 1000
    most_per_client: int = 500


class Refusal(IntEnum):
    """Why there is no place for a connection; the status of HTTP that says so."""

    FULL = 503
    SHARE = 429


class Link(Protocol):
    """The transport of a connection, as far as its limits are concerned."""

    def let_go(self, *, is_late: bool) -> None:
        """Close, once what was written has been sent; ``is_late`` if a request was to be complete by now."""

    def cut(self) -> None:
        """Close at once."""

    def unsent(self) -> int:
        """Bytes that were written, and that the client has not taken."""


class _Queue:
    """Connections that wait, the one that has waited longest first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.since: dict[Connection, float] = {}

    def overdue(self, now: float) -> list[Connection]:
        found = []
        for connection, since in self.since.items():
            if now - since < self.seconds:
                break
            found.append(connection)
        return found


class Connection:
    """One connection, and what it waits for.

    Attributes:
        client: the address that it counts for; empty if it counts for none.
        link: its transport.
        requests: that are being answered.
    """

    __slots__ = ("_connections", "_home", "_moved", "_queue", "_unsent", "client", "link", "requests")

    def __init__(self, connections: Connections, link: Link, client: str, home: _Queue) -> None:
        self._connections = connections
        self._home = home
        self._queue: _Queue | None = None
        self._unsent = 0
        self._moved = 0.0
        self.client = client
        self.link = link
        self.requests = 0

    def heard(self) -> None:
        """Bytes came. If a request was waited for, they are the first of its head."""
        if self._queue is self._home:
            self.wait(self._connections.heads)

    def begin(self) -> None:
        """A request's head is complete."""
        self.requests += 1
        self.wait(None)

    def end(self) -> None:
        """A request was answered, or never will be."""
        self.requests -= 1
        if not self.requests and self in self._connections.all:
            self.wait(self._home)

    def answered(self) -> None:
        """A request came, and was answered at once."""
        self.wait(self._home)

    def taken(self) -> None:
        """The client took something, and more is written now."""
        self._unsent = 0

    def is_stalled(self, now: float, seconds: float) -> bool:
        """Whether the client has taken nothing for so long. To be asked regularly."""
        unsent = self.link.unsent()
        if not unsent or unsent != self._unsent:
            self._unsent, self._moved = unsent, now
            return False
        return now - self._moved >= seconds

    def wait(self, queue: _Queue | None) -> None:
        """Begin to wait in a queue; in none, if the server is at work."""
        if self._queue is not None:
            del self._queue.since[self]
        self._queue = queue
        if queue is not None:
            queue.since[self] = self._connections.clock()


class Connections:
    """All connections of an application in this process.

    The queues are in the order of time, so that whose time is over, and who gives way, is found at their
    front: no connection has a timer, and a request costs a few operations on dictionaries.

    Args:
        limits: what connections may take.
        is_proxy: whether an address is a trusted proxy's: many clients come from there.
        clock: monotonic seconds.

    Attributes:
        limits: what connections may take.
        most: connections at the same time: those of the limits, or fewer.
        all: that are open.
        heads: those of which the head of a request is awaited.
        counts: what happened so far.
        changed: told how many connections came; negative if they went.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        is_proxy: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.most = limits.most
        self.all: dict[Connection, None] = {}
        self.heads = _Queue(limits.head_seconds)
        self.counts = Counter({"accepted": 0, "refused": 0, "evicted": 0, "late": 0, "stalled": 0})
        self.changed: Callable[[int], None] = lambda _: None
        self._is_proxy = is_proxy
        self._idle = _Queue(limits.idle_seconds)
        self._resting = _Queue(PROXY_IDLE_SECONDS)
        self._clients: Counter[str] = Counter()
        self._log = ThrottledLog(logger)

    def statistics(self) -> Mapping[str, float]:
        """How many are open, and what happened so far; nothing where another server has the sockets."""
        return {"open": len(self.all), **self.counts} if self.counts["accepted"] else {}

    def admit(self, link: Link, address: str) -> Connection | Refusal:
        """Take a connection, if there is a place for it.

        Where there is none, the one that has waited longest for a request gives way: among those of the
        same client if that has its share, else among all.

        Args:
            link: its transport.
            address: the client's; empty if it has none.
        """
        self.counts["accepted"] += 1
        is_proxy = bool(address) and self._is_proxy(address)
        client = "" if is_proxy else client_of(address)
        if client and self._clients[client] >= self.limits.most_per_client and not self._make_room(client):
            return self._refuse(
                Refusal.SHARE, f"{client} has max_connections_per_client of them at work or new"
            )
        if len(self.all) >= self.most and not self._make_room(""):
            return self._refuse(
                Refusal.FULL, f"{self.most} are at work or new, as many as max_connections allows"
            )
        connection = Connection(self, link, client, self._resting if is_proxy else self._idle)
        self.all[connection] = None
        self.changed(1)
        if client:
            self._clients[client] += 1
        connection.wait(self.heads)
        return connection

    def closed(self, connection: Connection) -> None:
        """A connection is no more. May be told again."""
        connection.wait(None)
        if connection not in self.all:
            return
        del self.all[connection]
        self.changed(-1)
        if client := connection.client:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def sweep(self) -> None:
        """End whatever has waited too long. To be called regularly."""
        now = self.clock()
        for queue in (self.heads, self._idle, self._resting):
            for connection in queue.overdue(now):
                self.counts["late"] += queue is self.heads
                connection.wait(None)
                connection.link.let_go(is_late=queue is self.heads)
        for connection in list(self.all):
            if connection.is_stalled(now, self.limits.send_seconds):
                self.counts["stalled"] += 1
                self.closed(connection)
                connection.link.cut()

    def _refuse(self, refusal: Refusal, reason: str) -> Refusal:
        self.counts["refused"] += 1
        self._log.log(logging.WARNING, f"a connection was refused: {reason}")
        return refusal

    def _make_room(self, client: str) -> bool:
        """Close the connection that has waited longest, of one client or of all, if there is any."""
        longest = min(self._giving_way(client), default=None, key=lambda found: found[0])
        if longest is None:
            return False
        _, connection = longest
        self.counts["evicted"] += 1
        self.closed(connection)
        connection.link.let_go(is_late=False)
        return True

    def _giving_way(self, client: str) -> Iterator[tuple[float, Connection]]:
        """Of each queue, the one that may be closed first. What still takes an answer may not."""
        latest = self.clock() - GRACE_SECONDS
        for queue in (self.heads, self._idle, self._resting):
            for connection, since in queue.since.items():
                if since > latest:
                    break
                if (not client or connection.client == client) and not connection.link.unsent():
                    yield since, connection
                    break


def client_of(address: str) -> str:
    """Whom an address belongs to: itself, or the IPv6 network that one customer has."""
    if ":" not in address:
        return address
    try:
        network = ipaddress.ip_network((address.partition("%")[0], _IPV6_PREFIX), strict=False)
    except ValueError:
        return address
    return str(network)


CONNECTIONS = web.AppKey("connections", Connections)

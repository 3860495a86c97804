"""Answers that are given again at once, to whoever wants the same, as long as nothing has changed.

A request for one is recognised by its head as it comes in, before the framework sees it. See
docs/adr/0015-ready-answers.md.
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import hdrs, web
from lru import LRU

from iiif_server.errors import ServerBusy
from iiif_server.telemetry.timings import new_request_id
from iiif_server.web.observe import REQUEST_ID, Described, Observer
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import COMMON_HEADERS

READY: Final[web.RequestKey[Callable[[], bytes | None]]] = web.RequestKey("ready")
"""Set by a handler whose answer may be given again: gives the body for as long as the answer holds.

After that it gives ``None``, as for a body that is not at hand. Such an answer may depend on the address and
the fields Host, Accept and Accept-Encoding; not on those that are said to be of no matter.
"""

logger = logging.getLogger(__name__)

_KEPT: Final = 2048
_LARGEST: Final = 4096
"""Bytes of a head; larger ones are left to the framework."""

_LINE: Final = re.compile(rb"(GET|HEAD|OPTIONS) (/[!-~]*) HTTP/1\.1")
_FIELDS: Final = re.compile(rb"(?:[!#-'*+.0-9A-Z^-z|~-]+:[\t ]*(?:[!-~][\t -~]*)?\r\n)+\r\n")
_FIELD: Final = re.compile(rb"([^:\r\n]+):[\t ]*([^\r\n]*)\r\n")
_OF_BODIES: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"trailer"})
_NO_MATTER: Final = frozenset(
    {
        *(b"user-agent", b"referer", b"origin", b"cookie", b"dnt", b"priority", b"save-data", b"pragma"),
        *(b"accept-language", b"cache-control", b"upgrade-insecure-requests", b"x-requested-with"),
        *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc"),
        *(b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform"),
        # Who is no trusted proxy is not asked for whom it speaks.
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix"),
        *(b"forwarded", b"via", b"x-real-ip", b"x-request-id"),
    }
)
"""Fields that nothing here reads, or not of strangers."""


class Wish(NamedTuple):
    """All of a request that such an answer depends on, as it came over the wire."""

    target: bytes
    host: bytes
    accept: bytes | None
    accept_encoding: bytes | None


class Given(NamedTuple):
    """An answer that a maker gives: its own headers, its body, and what was asked for."""

    headers: Mapping[str, str]
    body: bytes
    described: Described


Maker = Callable[[Wish], Given | None]
"""Answers a wish that was not answered before, if that takes no waiting."""

Refuser = Callable[[Wish, int], Awaitable[tuple[ServerBusy, Given] | None]]
"""Tells by what a wish is refused for want of room behind so many others, and how that is answered."""

_Told = tuple[bytes, bytes | None, bytes | None]


def read_head(data: bytes) -> Wish | bool:
    """Read what a client sent at once.

    Returns:
        the wish; ``True`` if it is the head of one request without a body that wants something else
        besides, or is refused; ``False`` if it is none, or not one, or not all of it.
    """
    if len(data) > _LARGEST:
        return False
    line, _, fields = data.partition(b"\r\n")
    read, told = _LINE.fullmatch(line), _read_fields(fields)
    if read is None or told is False:
        return False
    method, target = read.groups()
    return True if told is True or method != b"GET" or b"?" in target else Wish(target, *told)


@functools.lru_cache(maxsize=256)  # a client sends the same fields again and again
def _read_fields(fields: bytes) -> _Told | bool:
    """The values of Host, Accept and Accept-Encoding; else as :func:`read_head`."""
    if not _FIELDS.fullmatch(fields):
        return False
    wanted: dict[bytes, bytes] = {}
    is_simple = True
    for written, value in _FIELD.findall(fields):
        name = written.lower()
        if name in _OF_BODIES:
            return False
        if name in (b"host", b"accept", b"accept-encoding"):
            is_simple = is_simple and name not in wanted
            wanted[name] = value.rstrip()
        elif name not in _NO_MATTER and (name != b"connection" or value.rstrip().lower() != b"keep-alive"):
            is_simple = False
    if not is_simple or b"host" not in wanted:
        return True
    return wanted[b"host"], wanted.get(b"accept"), wanted.get(b"accept-encoding")


class _Answer(NamedTuple):
    """An answer that was given: its head but for what differs each time, and what gives its body again."""

    head: bytes
    body: Callable[[], bytes | None]
    described: Described


class ReadyAnswers:
    """The answers of one application that may be given again.

    Args:
        observer: counts them and logs them like all others.

        refusals: where it is told that there was no room.

    Attributes:
        maker: of answers that were not given before.
        has_no_room: tells whether there is no room for more work behind so many; then the refuser is asked.
        refuser: of what there is no room for.
        ahead: wishes left to the framework that it has not begun with. Hundreds may come in one
            turn of the event loop.
    """

    def __init__(self, observer: Observer, refusals: RefusalLog) -> None:
        self._observer = observer
        self._refusals = refusals
        self._known: LRU[Wish, _Answer] = LRU(_KEPT)
        self._is_stopped = False
        self.maker: Maker = lambda _: None
        self.has_no_room: Callable[[int], bool] = lambda _: False
        self.ahead = 0
        self.refuser: Refuser = _refuses_nothing

    def find(self, wish: Wish, client: str) -> tuple[bytes, bytes] | None:
        """Head and body of the answer to a wish, which then counts as answered; ``None`` if there is none.

        Args:
            wish: of the client.
            client: its address.
        """
        began = time.perf_counter()
        if self._is_stopped or (found := self._known_answer(wish) or self._made_answer(wish)) is None:
            return None
        return self._complete(*found, client, began)

    @property
    def is_full(self) -> bool:
        """Whether to ask for a refusal of what is not ready."""
        return self.has_no_room(self.ahead)

    async def refusal(self, wish: Wish, client: str) -> tuple[bytes, bytes] | None:
        """The same of the answer that there is no room for it; ``None`` if there is, or may be."""
        began = time.perf_counter()
        try:
            found = await self.refuser(wish, self.ahead)
        except Exception:
            logger.exception("it could not be told whether there is room")  # the framework tells
            return None
        if found is None or self._is_stopped:
            return None
        error, given = found
        target = given.described.target
        self._refusals.tell(error, lambda: f"GET {target}: {error.status} {error.log}")
        return self._complete(*_written(given), client, began)

    def _complete(
        self, head: bytes, body: bytes, described: Described, client: str, began: float
    ) -> tuple[bytes, bytes]:
        request_id = new_request_id()
        self._observer.repeated(described, request_id, client, began, len(body))
        rest = f"{hdrs.DATE}: {_date(int(time.time()))}\r\n{REQUEST_ID}: {request_id}\r\n\r\n"
        return head + rest.encode(), body

    def learn(self, wish: Wish, request: web.BaseRequest, task: asyncio.Task[Any]) -> None:
        """Remember the answer to a wish, if it may be given again.

        Args:
            wish: that the request was.
            request: that was answered.
            task: of aiohttp, which answered it.
        """
        body = request.get(READY)
        if body is None or self._is_stopped or task.cancelled() or task.exception() is not None:
            return
        response, was_lost = task.result()
        if response.status != 200 or was_lost or not response.keep_alive:
            return
        assert isinstance(request, web.Request)
        head = _head(response.status, str(response.reason), response.headers)
        self._known[wish] = _Answer(head, body, self._observer.described(request))

    def _known_answer(self, wish: Wish) -> tuple[bytes, bytes, Described] | None:
        answer = self._known.get(wish)
        if answer is None:
            return None
        body = answer.body()
        if body is None:
            del self._known[wish]
            return None
        return answer.head, body, answer.described

    def _made_answer(self, wish: Wish) -> tuple[bytes, bytes, Described] | None:
        try:
            given = self.maker(wish)
        except Exception:
            logger.exception("a ready answer could not be made")  # the framework answers, or tells why not
            return None
        return None if given is None else _written(given)

    def stop(self) -> None:
        """Give no more answers: from now on they say that the connection ends."""
        self._is_stopped = True
        self._known.clear()


async def _refuses_nothing(_: Wish, _ahead: int) -> None:
    return None


def _written(given: Given) -> tuple[bytes, bytes, Described]:
    headers = {**COMMON_HEADERS, **given.headers, hdrs.CONTENT_LENGTH: str(len(given.body))}
    status = given.described.key.status
    return _head(status, HTTPStatus(status).phrase, headers), given.body, given.described


def _head(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in (hdrs.DATE, REQUEST_ID)]
    return "\r\n".join([*lines, ""]).encode()


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return email.utils.formatdate(second, usegmt=True)


ANSWERS = web.AppKey("ready_answers", ReadyAnswers)

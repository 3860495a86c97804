"""Answers that are given again at once, to whoever wants the same, as long as nothing has changed.

A request for one is recognised by its head as it comes in, before the framework sees it. See
docs/adr/0015-ready-answers.md.
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import hdrs, web
from lru import LRU

from iiif_server.telemetry.timings import Tier, new_request_id
from iiif_server.web.heads import Wish
from iiif_server.web.observe import REQUEST_ID, Described, Observer
from iiif_server.web.responses import COMMON_HEADERS

READY: Final[web.RequestKey[Callable[[], bytes | None]]] = web.RequestKey("ready")
"""Set by a handler whose answer may be given again: gives the body for as long as the answer holds.

After that it gives ``None``, as for a body that is not at hand. Such an answer may depend on the address and
the fields Host, Accept and Accept-Encoding; not on those that are said to be of no matter.
"""

logger = logging.getLogger(__name__)

_KEPT: Final = 2048


class Given(NamedTuple):
    """An answer that a maker gives, and what was asked for.

    Attributes:
        head: see :func:`head_of`.
        body: all of it.
        described: the request.
        again: gives the body for as long as the answer holds, then ``None``; only if it may be given again.
    """

    head: bytes
    body: bytes
    described: Described
    again: Callable[[], bytes | None] | None = None


Maker = Callable[[Wish], Given | None]
"""Answers a wish that was not answered before, if that takes no waiting."""


class _Answer(NamedTuple):
    """An answer that was given: its head but for what differs each time, and what gives its body again."""

    head: bytes
    body: Callable[[], bytes | None]
    described: Described


class ReadyAnswers:
    """The answers of one application that may be given again.

    Args:
        observer: counts them and logs them like all others.
        make: an answer that was not given before.

    Attributes:
        is_stopped: no more are given.
    """

    def __init__(self, observer: Observer, make: Maker) -> None:
        self.is_stopped = False
        self._observer = observer
        self._make = make
        self._known: LRU[Wish, _Answer] = LRU(_KEPT)

    def find(self, wish: Wish, client: str) -> tuple[bytes, bytes] | None:
        """Head and body of the answer to a wish, which then counts as answered; ``None`` if there is none.

        Args:
            wish: of the client.
            client: its address.
        """
        began = time.perf_counter()
        if self.is_stopped or (found := self._known_answer(wish) or self._made_answer(wish)) is None:
            return None
        return self.give(found, client, began, new_request_id())

    def was_ready(self, wish: Wish) -> bool:
        """Whether there was an answer: likely it is one again, once it is known to be right."""
        return wish in self._known

    def remember(self, wish: Wish, given: Given) -> None:
        """Remember an answer that was made otherwise, if it may be given again: then from memory."""
        if given.again is not None and not self.is_stopped and given.again() is not None:
            key, target = given.described
            described = Described(key._replace(tier=Tier.MEMORY), target)
            self._known[wish] = _Answer(given.head, given.again, described)

    def give(self, given: Given, client: str, began: float, request_id: str) -> tuple[bytes, bytes]:
        """Head and body of an answer, which then counts as answered.

        Args:
            given: the answer.
            client: the address of who asked for it.
            began: when it was asked for, by ``time.perf_counter``.
            request_id: of the request.
        """
        self._observer.repeated(given.described, request_id, client, began, len(given.body))
        rest = f"{hdrs.DATE}: {_date(int(time.time()))}\r\n{REQUEST_ID}: {request_id}\r\n\r\n"
        return given.head + rest.encode(), given.body

    def learn(self, wish: Wish, request: web.BaseRequest, task: asyncio.Task[Any]) -> None:
        """Remember the answer to a wish, if it may be given again.

        Args:
            wish: that the request was.
            request: that was answered.
            task: of aiohttp, which answered it.
        """
        body = request.get(READY)
        if body is None or self.is_stopped or task.cancelled() or task.exception() is not None:
            return
        response, was_lost = task.result()
        if response.status != 200 or was_lost or not response.keep_alive:
            return
        assert isinstance(request, web.Request)
        head = _head(response.status, str(response.reason), response.headers)
        self._known[wish] = _Answer(head, body, self._observer.described(request))

    def _known_answer(self, wish: Wish) -> Given | None:
        answer = self._known.get(wish)
        if answer is None:
            return None
        body = answer.body()
        return None if body is None else Given(answer.head, body, answer.described)

    def _made_answer(self, wish: Wish) -> Given | None:
        try:
            return self._make(wish)
        except Exception:
            logger.exception("a ready answer could not be made")  # the framework answers, or tells why not
            return None

    def stop(self) -> None:
        """Give no more answers: from now on they say that the connection ends."""
        self.is_stopped = True
        self._known.clear()


def head_of(status: int, headers: Mapping[str, str], length: int) -> bytes:
    """The head of an answer with such a body, but for what differs each time: its time and its number.

    Args:
        status: of the answer.
        headers: its own, besides those that all answers share.
        length: of the body in bytes.
    """
    every = {**COMMON_HEADERS, **headers, hdrs.CONTENT_LENGTH: str(length)}
    return _head(status, HTTPStatus(status).phrase, every)


def _head(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in (hdrs.DATE, REQUEST_ID)]
    return "\r\n".join([*lines, ""]).encode()


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return email.utils.formatdate(second, usegmt=True)

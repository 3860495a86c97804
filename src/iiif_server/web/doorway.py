"""Before the framework: what is answered at once, what is found or made, and what there is no room for.

See docs/adr/0015-ready-answers.md and docs/adr/0017-refusals.md.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from iiif_server.errors import ServerBusy
from iiif_server.telemetry.timings import Trace, new_request_id
from iiif_server.web.heads import Wish
from iiif_server.web.observe import CLIENT_LEFT, Described, Observer
from iiif_server.web.ready import Given, ReadyAnswers
from iiif_server.web.refusals import RefusalLog

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 4
_PAUSE: Final = 0.1
_MOST_WAITING: Final = 64

Tell = Callable[[tuple[bytes, bytes] | None], None]
"""Called with head and body of an answer, or with ``None`` for what the framework is to answer."""


class Refused(NamedTuple):
    """A wish that there is no room for: why, and the answer."""

    error: ServerBusy
    given: Given


Fetch = Callable[[Trace], Awaitable[Given | Refused | None]]
"""Brings an answer, or ``None`` if the framework is to answer. It is cancelled if the client leaves."""


class Room(Protocol):
    """Knows for what there is room."""

    def is_full(self, ahead: int) -> bool:
        """Whether there is no room for more work behind so many wishes."""

    def takes_work(self, wish: Wish) -> bool:
        """Whether a wish may ask for work at all."""

    async def look(self, wishes: Sequence[Wish], ahead: int) -> Sequence[Refused | None]:
        """What some wishes are refused with, behind so many others; ``None``: it may have an answer."""

    def unseen(self, wish: Wish, ahead: int) -> Refused | None:
        """The refusal of a wish that nobody has time to look at; ``None`` if the framework is to tell."""

    def fetch(self, wish: Wish) -> Fetch | None:
        """What brings the answer to a wish; ``None`` if the framework is to answer."""

    def describe(self, wish: Wish, status: int) -> Described:
        """What is noted of a wish that ended so."""


class Asked:
    """A wish that somebody waits for.

    Args:
        wish: that has no ready answer.
        client: its address.
        tell: is told once.
    """

    __slots__ = ("_tell", "began", "client", "has_begun", "has_left", "task", "wish")

    def __init__(self, wish: Wish, client: str, tell: Tell) -> None:
        self.wish = wish
        self.client = client
        self.began = time.perf_counter()
        self.task: asyncio.Task[None] | None = None
        self.has_begun = False
        self.has_left = False
        self._tell: Tell | None = tell

    def tell(self, answer: tuple[bytes, bytes] | None) -> None:
        """Tell the answer, unless something was told before."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(answer)

    @property
    def is_told(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._tell is None

    def leave(self) -> None:
        """The client is gone."""
        self._tell = None
        self.has_left = True
        if self.task is not None:
            self.task.cancel()


class Doorway:
    """Gives answers, ready or not, and decides on what is not ready while there is no room for more work.

    Those who came first are let in as soon as there is room. A few at a time of the others are looked at, so
    that what a cache has is answered although the workers are overrun. Looking takes the time of all others:
    of a flood, most is refused unseen, many at a time.

    Args:
        answers: that are ready.
        room: that there is.
        observer: counts and logs what is answered here like all else.
        refusals: where it is told that there was no room.
        at_once: wishes that are looked at together.
        pause: seconds between that, and until those beyond it are refused.
        most_waiting: wishes that may wait for it.

    Attributes:
        answers: that are ready.
        ahead: wishes let in that nobody has begun with. Hundreds may come in one turn of the event loop.
    """

    def __init__(
        self,
        answers: ReadyAnswers,
        room: Room,
        observer: Observer,
        refusals: RefusalLog,
        *,
        at_once: int = _AT_ONCE,
        pause: float = _PAUSE,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.answers = answers
        self.ahead = 0
        self._room = room
        self._observer = observer
        self._refusals = refusals
        self._at_once = at_once
        self._pause = pause
        self._most_waiting = most_waiting
        self._waiting: deque[Asked] = deque()
        self._looking: asyncio.Task[None] | None = None
        self._refusing: asyncio.TimerHandle | None = None
        self._fetching: set[Asked] = set()

    def ask(self, wish: Wish, client: str, tell: Tell) -> Asked | None:
        """Ask for an answer, or a refusal; ``None`` if the framework is to answer.

        Args:
            wish: that has no ready answer.
            client: its address.
            tell: is told soon, unless this returns ``None`` or the client leaves.
        """
        if self.answers.is_stopped:
            return None
        asked = Asked(wish, client, tell)
        if not self._room.is_full(self.ahead):
            return asked if self._fetch(asked) else None
        if not self._room.takes_work(wish) or self.answers.was_ready(wish):
            return None
        self._waiting.append(asked)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="is there room?")
        if self._refusing is None and len(self._waiting) > self._most_waiting:
            self._refusing = asyncio.get_running_loop().call_later(self._pause, self._refuse_unseen)
        return asked

    def stop(self) -> None:
        """Answer and refuse nothing any more: all is left to the framework, with what was begun for it."""
        self.answers.stop()
        for asked in list(self._fetching):
            asked.tell(None)

    def close(self) -> None:
        """Look at nothing any more. Nobody may be connected."""
        if self._looking is not None:
            self._looking.cancel()
        if self._refusing is not None:
            self._refusing.cancel()
        for asked in self._fetching:
            asked.leave()

    def _refuse_unseen(self) -> None:
        """Those who came last."""
        self._refusing = None
        while len(self._waiting) > self._most_waiting:
            one = self._waiting.pop()
            self._tell(one, self._unseen(one.wish))

    def _unseen(self, wish: Wish) -> Refused | None:
        try:
            return self._room.unseen(wish, self.ahead)
        except Exception:
            logger.exception("it could not be refused for want of room")
            return None

    async def _look(self) -> None:
        try:
            while self._waiting:
                while self._waiting and not self._room.is_full(self.ahead):
                    self._tell(self._waiting.popleft(), None)
                asked = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
                refused = await self._decide([one.wish for one in asked])
                for one, its in zip(asked, refused, strict=True):
                    self._tell(one, its)
                await asyncio.sleep(self._pause)
        finally:
            self._looking = None

    async def _decide(self, wishes: Sequence[Wish]) -> Sequence[Refused | None]:
        try:
            return await self._room.look(wishes, self.ahead)
        except Exception:
            logger.exception("it could not be told whether there is room")  # the framework tells
            return [None] * len(wishes)

    def _tell(self, asked: Asked, refused: Refused | None) -> None:
        if asked.has_left:
            self._left(asked)
        elif refused is not None:
            self._give(asked, refused, new_request_id())
        elif self.answers.is_stopped or not self._fetch(asked):
            asked.tell(None)

    def _give(self, asked: Asked, found: Given | Refused | None, request_id: str) -> None:
        if found is None or self.answers.is_stopped:
            asked.tell(None)
        elif not asked.is_told:
            given = self._told_of(found) if isinstance(found, Refused) else found
            self.answers.remember(asked.wish, given)
            asked.tell(self.answers.give(given, asked.client, asked.began, request_id))

    def _told_of(self, refused: Refused) -> Given:
        error, given = refused
        self._refusals.tell(error, lambda: f"GET {given.described.target}: {error.status} {error.log}")
        return given

    def _fetch(self, asked: Asked) -> bool:
        """Have an answer brought, if that can be had."""
        try:
            fetch = self._room.fetch(asked.wish)
        except Exception:
            logger.exception("it could not be told whether there is an answer")  # the framework tells
            return False
        if fetch is None:
            return False
        self.ahead += 1
        self._fetching.add(asked)
        asked.task = asyncio.create_task(self._bring(asked, fetch), name="bring an answer")
        asked.task.add_done_callback(lambda _: self._brought(asked))
        return True

    async def _bring(self, asked: Asked, fetch: Fetch) -> None:
        self.ahead -= 1
        asked.has_begun = True
        with self._observer.observed() as trace:
            found = None
            try:
                found = await fetch(trace)
            except Exception:
                logger.exception("an answer could not be made")  # the framework answers, or tells why not
            self._give(asked, found, trace.request_id)

    def _brought(self, asked: Asked) -> None:
        self._fetching.discard(asked)
        if not asked.has_begun:
            self.ahead -= 1
        if asked.has_left:
            self._left(asked)

    def _left(self, asked: Asked) -> None:
        self._observer.left(self._room.describe(asked.wish, CLIENT_LEFT), asked.client, asked.began)


DOORWAY = web.AppKey("doorway", Doorway)

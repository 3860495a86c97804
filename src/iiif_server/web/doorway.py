"""Before the framework: what is answered at once, and what is refused while there is no room for more work.

See docs/adr/0017-refusals.md.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from iiif_server.errors import ServerBusy
from iiif_server.web.heads import Wish
from iiif_server.web.ready import Given, ReadyAnswers
from iiif_server.web.refusals import RefusalLog

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 12
_PAUSE: Final = 0.05
_MOST_WAITING: Final = 64

Tell = Callable[[tuple[bytes, bytes] | None], None]
"""Called with head and body of a refusal, or with ``None`` for what the framework is to answer."""


class Refused(NamedTuple):
    """A wish that there is no room for: why, and the answer."""

    error: ServerBusy
    given: Given


class Room(Protocol):
    """Knows for what there is room."""

    def is_full(self, ahead: int) -> bool:
        """Whether there is no room for more work behind so many wishes."""

    async def look(self, wishes: Sequence[Wish], ahead: int) -> Sequence[Refused | None]:
        """What some wishes are refused with, behind so many others; ``None``: it may have an answer."""

    def unseen(self, wish: Wish, ahead: int) -> Refused | None:
        """The refusal of a wish that nobody has time to look at; ``None`` if it asks for no work."""


class _Endless:
    """There is room for everything."""

    def is_full(self, _ahead: int) -> bool:
        return False

    async def look(self, wishes: Sequence[Wish], _ahead: int) -> Sequence[Refused | None]:
        return [None] * len(wishes)

    def unseen(self, _wish: Wish, _ahead: int) -> Refused | None:
        return None


class _Asked(NamedTuple):
    wish: Wish
    client: str
    began: float
    tell: Tell


class Doorway:
    """Gives ready answers, and decides on what is not ready while there is no room for more work.

    A few wishes at a time are looked at, so that what a cache has is answered although the workers are
    overrun. Looking takes the time of all others: of a flood, most is refused unseen, many at a time.

    Args:
        answers: that are ready.
        refusals: where it is told that there was no room.
        at_once: wishes that are looked at together.
        pause: seconds between that, and until those beyond it are refused.
        most_waiting: wishes that may wait for it.

    Attributes:
        answers: that are ready.
        room: that there is.
        ahead: wishes left to the framework that it has not begun with. Hundreds may come in one turn of the
            event loop.
    """

    def __init__(
        self,
        answers: ReadyAnswers,
        refusals: RefusalLog,
        *,
        at_once: int = _AT_ONCE,
        pause: float = _PAUSE,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.answers = answers
        self.room: Room = _Endless()
        self.ahead = 0
        self._refusals = refusals
        self._at_once = at_once
        self._pause = pause
        self._most_waiting = most_waiting
        self._waiting: deque[_Asked] = deque()
        self._looking: asyncio.Task[None] | None = None
        self._refusing: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        """Whether to ask for what is not ready."""
        return not self.answers.is_stopped and self.room.is_full(self.ahead)

    def ask(self, wish: Wish, client: str, tell: Tell) -> None:
        """Ask whether a wish is refused.

        Args:
            wish: that has no ready answer.
            client: its address.
            tell: is told soon.
        """
        self._waiting.append(_Asked(wish, client, time.perf_counter(), tell))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="is there room?")
        if self._refusing is None and len(self._waiting) > self._most_waiting:
            self._refusing = asyncio.get_running_loop().call_later(self._pause, self._refuse_unseen)

    def stop(self) -> None:
        """Answer and refuse nothing any more: all is left to the framework."""
        self.answers.stop()

    def close(self) -> None:
        """Look at nothing any more. Nobody may be connected."""
        if self._looking is not None:
            self._looking.cancel()
        if self._refusing is not None:
            self._refusing.cancel()

    def _refuse_unseen(self) -> None:
        """Those who came last."""
        self._refusing = None
        while len(self._waiting) > self._most_waiting:
            one = self._waiting.pop()
            self._tell(one, self._unseen(one.wish))

    def _unseen(self, wish: Wish) -> Refused | None:
        try:
            return self.room.unseen(wish, self.ahead)
        except Exception:
            logger.exception("it could not be refused for want of room")
            return None

    async def _look(self) -> None:
        try:
            while self._waiting:
                asked = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
                refused = await self._decide([one.wish for one in asked])
                for one, its in zip(asked, refused, strict=True):
                    self._tell(one, its)
                await asyncio.sleep(self._pause)
        finally:
            self._looking = None

    async def _decide(self, wishes: Sequence[Wish]) -> Sequence[Refused | None]:
        try:
            return await self.room.look(wishes, self.ahead)
        except Exception:
            logger.exception("it could not be told whether there is room")  # the framework tells
            return [None] * len(wishes)

    def _tell(self, asked: _Asked, refused: Refused | None) -> None:
        if refused is None or self.answers.is_stopped:
            asked.tell(None)
            return
        error, given = refused
        self._refusals.tell(error, lambda: f"GET {given.described.target}: {error.status} {error.log}")
        asked.tell(self.answers.give(given, asked.client, asked.began))


DOORWAY = web.AppKey("doorway", Doorway)

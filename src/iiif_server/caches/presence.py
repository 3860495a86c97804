"""Whether something is in a store, asked for many keys at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from iiif_server.caches.threads import Threads
from iiif_server.errors import ServerBusy

_GATHER_SECONDS: Final = 0.005
_MOST: Final = 1024
_PATIENCE: Final = 2.0


class Presence:
    """Questions that go to a thread and back together.

    When hundreds of requests a second are refused, a way to a thread and back for each would cost more than
    all else that is done for them. One batch is asked for at a time: where the disk is slow, they grow.

    Args:
        is_there: tells of a key; called in a thread.
        threads: where it is called.
        gather_seconds: for so long questions are gathered.
        most: questions that may wait; to those beyond it the answer is no.
        patience: seconds that a batch may take; then the answer is no.
    """

    def __init__(
        self,
        is_there: Callable[[str], bool],
        threads: Threads,
        *,
        gather_seconds: float = _GATHER_SECONDS,
        most: int = _MOST,
        patience: float = _PATIENCE,
    ) -> None:
        self._is_there = is_there
        self._threads = threads
        self._gather_seconds = gather_seconds
        self._most = most
        self._patience = patience
        self._waiting = 0
        self._asked: list[tuple[str, asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    async def of(self, key: str) -> bool:
        """Whether it is there; no if that can't be told."""
        if self._closed or self._waiting >= self._most:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="presence")
        self._waiting += 1
        try:
            return await answer
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Answer no to all that is still asked."""
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))
        _tell(self._asked, set())

    async def _ask(self) -> None:
        try:
            while self._asked:
                await asyncio.sleep(self._gather_seconds)
                batch, self._asked = self._asked, []
                found: set[str] = set()
                try:
                    with suppress(ServerBusy, TimeoutError):  # the former: the threads have ended
                        async with asyncio.timeout(self._patience):
                            found = await self._threads.run(self._look_up, [key for key, _ in batch])
                finally:
                    _tell(batch, found)
        finally:
            self._asking = None

    def _look_up(self, keys: list[str]) -> set[str]:
        return {key for key in keys if self._is_there(key)}


def _tell(batch: list[tuple[str, asyncio.Future[bool]]], found: set[str]) -> None:
    for key, answer in batch:
        if not answer.done():
            answer.set_result(key in found)

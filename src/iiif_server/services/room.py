"""Whether there is room for more work: what there is none for is refused before anything is done for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from iiif_server.caches.tiers import DerivativeCache
from iiif_server.errors import ServerBusy
from iiif_server.execution.messages import TaskRunner
from iiif_server.services.image_requests import PreparedImage


class Room:
    """Refuses what a worker would have to make, while too many tasks wait for one.

    Under a flood, most of what the server does is refusing. What is cheap to answer is answered all the same.
    Many come in one turn of the event loop: what is on its way to the pool counts as if it were there.

    Args:
        pool: where derivatives are made.
        cache: where they are kept.
        is_coming: tells whether a derivative is being made, or is likely to be had without being made.
    """

    def __init__(
        self, pool: TaskRunner, cache: DerivativeCache, is_coming: Callable[[PreparedImage], bool]
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._is_coming = is_coming
        self._on_their_way: set[str] = set()

    def is_full(self, ahead: int = 0) -> bool:
        """Tell whether there is no room for more work behind so many requests that are on their way here."""
        return len(self._on_their_way) + ahead >= self._pool.room

    def refusal(self, ahead: int = 0) -> ServerBusy | None:
        """What is refused with, whatever it is, behind so many others."""
        try:
            self._pool.check_room(len(self._on_their_way) + ahead)
        except ServerBusy as error:
            return error
        return None

    async def refusals(self, wanted: Sequence[PreparedImage], ahead: int = 0) -> list[ServerBusy | None]:
        """What some requests are refused with, behind so many others; ``None`` for those that are let in.

        Let in are what is being made, what the caches have, what may be in a pyramid, and as many others as
        there is room for.
        """
        found = await asyncio.gather(*(self._is_had(prepared) for prepared in wanted))
        refused: list[ServerBusy | None] = []
        for is_had in found:
            error = None if is_had else self.refusal(ahead)
            ahead += not is_had and error is None
            refused.append(error)
        return refused

    async def check(self, prepared: PreparedImage) -> None:
        """Refuse a request that has come.

        Raises:
            ServerBusy: there is no room for more work.
        """
        if self.is_full() and not await self._is_had(prepared) and (error := self.refusal()) is not None:
            raise error

    @contextmanager
    def on_its_way(self, key: str) -> Iterator[None]:
        """Count a derivative as on its way to the pool, until it has arrived or this ends."""
        self._on_their_way.add(key)
        try:
            yield
        finally:
            self._on_their_way.discard(key)

    def arrived(self, key: str) -> None:
        """It is at the pool."""
        self._on_their_way.discard(key)

    async def _is_had(self, prepared: PreparedImage) -> bool:
        return self._is_coming(prepared) or await self._cache.holds(prepared.key)

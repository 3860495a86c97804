"""Pyramids: when one is built, and which requests its tiles answer.

A tile out of a pyramid is byte for byte the one that is made from the source. So where a tile comes from is
never part of its key, and it does not matter whether a pyramid is there yet, comes, or goes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, NamedTuple

from lru import LRU

from iiif_server.caches.pyramids import OpenPyramids
from iiif_server.errors import IIIFServerError, ServerBusy
from iiif_server.iiif.resolve import Operation
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.pyramids.index import factor_of
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.pyramid_builder import BuildOutcome, PyramidBuilder

logger = logging.getLogger(__name__)

Policy = Literal["never", "ahead", "on_demand"]

_REFUSED_SECONDS: Final = 600.0
_BUSY_SECONDS: Final = 5.0
_REMEMBERED: Final = 10_000
_PAUSES: Final = 2.0
"""How long the way beside a build is closed after each tile, by the time that it took."""

_MOST_BUILDS: Final = 4
"""Under way at once; more would wait for each other, and keep room reserved meanwhile."""


class Tile(NamedTuple):
    """A finished tile, and whether it lies in a pyramid, so that no other cache has to keep it."""

    body: bytes
    is_stored: bool


@dataclass(frozen=True, slots=True)
class PyramidRules:
    """Which sources of a profile get a pyramid.

    Attributes:
        policy: ``never``; only those that a command built (``ahead``); those that tiles are asked of.
        min_pixels: the fewest pixels of a source that gets one.
    """

    policy: Policy = "never"
    min_pixels: int = 0

    def wants(self, info: ImageInfo, settings: RenderSettings) -> bool:
        """Tell whether a pyramid of this source would be of use."""
        return (
            info.width * info.height >= self.min_pixels
            and info.tile is None  # stored in tiles already
            and not settings.keep_metadata  # every tile would have to carry the source's credit
        )


@dataclass(slots=True)
class _Build:
    """A pyramid that is being built, and the turn of the one request that does not wait for it.

    Attributes:
        task: builds it.
        is_slow: somebody lost patience over it, so that nobody waits for it any more.
        turn: who holds it renders.
        waiting: how many wait for its end because no worker is left.
    """

    task: asyncio.Task[BuildOutcome]
    is_slow: bool = False
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    waiting: int = 0

    def pass_on(self, seconds: float) -> None:
        """End one's turn; the next one begins after a while, so that the build gets on."""
        if not self.task.done():
            asyncio.get_running_loop().call_later(seconds, self.turn.release)


class PyramidService:
    """Answers tiles from pyramids, and has them built.

    Args:
        builder: builds them.
        opened: reads them.
        rules: by the profile's name.
        settings: what tiles are made by, by the profile's name.
        patience: seconds that a request waits for a pyramid at most.
    """

    def __init__(
        self,
        builder: PyramidBuilder,
        opened: OpenPyramids,
        rules: Mapping[str, PyramidRules],
        settings: Mapping[str, RenderSettings],
        *,
        patience: float = 5.0,
    ) -> None:
        self._builder = builder
        self._opened = opened
        self._rules = rules
        self._settings = settings
        self._patience = patience
        self._builds: dict[str, _Build] = {}
        self._refused: LRU[str, float] = LRU(_REMEMBERED)
        self._asked: LRU[str, bool] = LRU(_REMEMBERED)

    async def tile(
        self,
        identifier: Identifier,
        info: ImageInfo,
        operation: Operation,
        render: Callable[[bool], Awaitable[bytes]],
    ) -> Tile:
        """The answer to a request: from the pyramid if it is a tile of one, else rendered.

        With a pyramid on its way, one request at a time is rendered beside it, so that the first tiles come
        at once; the others wait for the pyramid or their turn, whichever comes first, within their patience.

        Args:
            identifier: of the image.
            info: what the request was resolved against.
            operation: the request.
            render: makes the answer from the source; told whether its neighbours will come from elsewhere.

        Raises:
            IIIFServerError: whatever ``render`` raises.
        """
        rules = self._rules[identifier.profile]
        if not self.concerns(identifier, info, operation):
            return Tile(await render(False), is_stored=False)
        key = self._builder.key(identifier, info)
        if (body := await self._opened.tile(key, operation)) is not None:
            return Tile(body, is_stored=True)
        # What is decoded in pieces answers its first tiles at once, and takes the longest to build.
        if rules.policy != "on_demand" or info.piece is not None or self._is_refused(key):
            return Tile(await render(False), is_stored=False)
        if key not in self._asked:
            # Perhaps the only tile that anybody wants. With the second one, a viewer is at work.
            self._asked[key] = True
            return Tile(await render(True), is_stored=False)
        if (build := self._begin(key, identifier, info)) is None:
            return Tile(await render(False), is_stored=False)
        if not build.is_slow:
            if await _takes_turn(build, self._patience):
                began = time.monotonic()
                try:
                    return await self._beside(build, key, operation, partial(render, True))
                finally:
                    build.pass_on(_PAUSES * (time.monotonic() - began))
            if (body := await self._opened.tile(key, operation)) is not None:
                return Tile(body, is_stored=True)
            build.is_slow = True
        return await self._beside(build, key, operation, partial(render, False))

    async def _beside(
        self, build: _Build, key: str, operation: Operation, render: Callable[[], Awaitable[bytes]]
    ) -> Tile:
        """What a worker makes, or the pyramid's if that is there first.

        The only worker may be the one that builds. What would wait for it waits for the pyramid instead, but
        no more than would find room there: else the worker began with it before the pyramid is in its place.
        """
        if self._builder.has_all_workers(key) and build.waiting < self._builder.room:
            build.waiting += 1
            try:
                await asyncio.wait((build.task,))
            finally:
                build.waiting -= 1
            if (body := await self._opened.tile(key, operation)) is not None:
                return Tile(body, is_stored=True)
        making = asyncio.ensure_future(render())
        try:
            await asyncio.wait((making, build.task), return_when=asyncio.FIRST_COMPLETED)
            if not making.done() and (body := await self._opened.tile(key, operation)) is not None:
                return Tile(body, is_stored=True)
            return Tile(await making, is_stored=False)
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)

    def concerns(self, identifier: Identifier, info: ImageInfo, operation: Operation) -> bool:
        """Whether a request is one that a pyramid, if there is one, has the answer to."""
        rules = self._rules[identifier.profile]
        return (
            rules.policy != "never"
            and not operation.is_full_region  # shrunk while it is decoded, or from a smaller copy
            and rules.wants(info, self._settings[identifier.profile])
            and factor_of(operation) is not None
        )

    async def close(self) -> None:
        """Give up what is being built, and close what is open."""
        tasks = [build.task for build in self._builds.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._opened.close()

    def _is_refused(self, key: str) -> bool:
        until = self._refused.get(key)
        return until is not None and time.monotonic() < until

    def _begin(self, key: str, identifier: Identifier, info: ImageInfo) -> _Build | None:
        """The build of this pyramid, begun unless too many are under way."""
        if (build := self._builds.get(key)) is not None:
            return build
        if len(self._builds) >= _MOST_BUILDS:
            return None
        task = asyncio.create_task(self._builder.build(identifier, info), name=f"pyramid of {identifier}")
        build = self._builds[key] = _Build(task)
        task.add_done_callback(lambda done: self._ended(key, identifier, done))
        return build

    def _ended(self, key: str, identifier: Identifier, task: asyncio.Task[BuildOutcome]) -> None:
        del self._builds[key]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            if task.result().left_out is not None:
                self._refused[key] = time.monotonic() + _REFUSED_SECONDS
            return
        seconds = _BUSY_SECONDS if isinstance(error, ServerBusy) else _REFUSED_SECONDS
        self._refused[key] = time.monotonic() + seconds
        reason = error.log if isinstance(error, IIIFServerError) else repr(error)
        logger.warning("no pyramid of %s for %g seconds: %s", identifier, seconds, reason)


async def _takes_turn(build: _Build, patience: float) -> bool:
    """Wait for the turn to render, the end of the build, or so many seconds; tells whether it is the turn."""
    acquiring = asyncio.ensure_future(build.turn.acquire())
    has_turn = False
    try:
        both = (acquiring, build.task)
        await asyncio.wait(both, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        has_turn = acquiring.done() and not build.task.done()
    finally:
        if not has_turn:
            acquiring.cancel()
            with suppress(asyncio.CancelledError):
                if acquiring.done() and acquiring.result():
                    build.turn.release()
    return has_turn

"""Answer an image request: one path, each step called once, cheapest answer first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import perf_counter

from iiif_server.caches.derivative import Derivative
from iiif_server.caches.single_flight import SingleFlight
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.errors import IIIFServerError, ServerBusy, SourceChanging, UnreadableSource
from iiif_server.execution.messages import Outcome, Task, TaskRunner
from iiif_server.imaging.plan import shared_decoding
from iiif_server.imaging.stopwatch import read_steps
from iiif_server.imaging.tasks import RenderTask, SourceFile
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.at_hand import AtHand
from iiif_server.services.costs import derivative_cost, is_heavy
from iiif_server.services.image_requests import ImageRequest, PreparedImage, RenderRules
from iiif_server.services.infos import InfoService
from iiif_server.services.preparing import Preparation
from iiif_server.services.pyramids import PyramidService, Tile
from iiif_server.services.room import Room
from iiif_server.services.tiles import TileService, TileSource
from iiif_server.telemetry.timings import Step, Tier, note_answer

_CHANGING_RETRIES = 3


@dataclass(frozen=True, slots=True)
class _Made:
    """What one flight brought for all who waited for it: of which request, from where, and in what time."""

    prepared: PreparedImage
    derivative: Derivative
    tier: Tier
    steps: Mapping[str, float]


class ImageService:
    """Makes derivatives, or finds them made.

    Args:
        infos: what is known of the images.
        pool: where derivatives are made.
        cache: where they are kept.
        rules: what decides them, by the profile's name.
        tiles: copies what is stored as it is wanted, if there is such a thing.
        pyramids: where tiles of large sources come from, if there are any.
        kept_memory: bytes of decoded pixels that a worker keeps for the next request.
        largest_task: bytes of memory that one piece of work may take.

    Attributes:
        room: that there is for more work.
        at_hand: what takes no work.
    """

    def __init__(
        self,
        infos: InfoService,
        pool: TaskRunner,
        cache: DerivativeCache,
        rules: Mapping[str, RenderRules],
        tiles: TileService | None = None,
        pyramids: PyramidService | None = None,
        kept_memory: int = 0,
        largest_task: float = inf,
    ) -> None:
        self._infos = infos
        self._pool = pool
        self._cache = cache
        self._rules = rules
        self._tiles = tiles
        self._pyramids = pyramids
        self._kept_memory = kept_memory
        self._largest_task = largest_task
        self._preparation = Preparation(infos, rules)
        self.room = Room(pool, cache, self._is_coming)
        self._flights: SingleFlight[_Made] = SingleFlight(
            share=lambda made: made.derivative.share(), let_go=lambda made: made.derivative.close()
        )
        self.at_hand = AtHand(self._preparation, cache, tiles)

    async def prepare(self, request: ImageRequest) -> PreparedImage:
        """Resolve a request: enough to answer a conditional or HEAD request, at no cost.

        Raises:
            NotFound: there is no such profile or image.
            InvalidRequest: the parameters do not fit the image or the limits.
            UnsupportedFeature: upscaling is not offered.
        """
        return await self._preparation.prepare(request)

    async def derivative(self, prepared: PreparedImage) -> tuple[PreparedImage, Derivative]:
        """The derivative's bytes, from the nearest place that has them.

        If the source changed meanwhile, the answer is of the new version, and so is the request that comes
        back with it.

        Raises:
            IIIFServerError: whatever keeps the image from being made.
        """
        with Step("cache"):
            hit, tier = self._cache.get_fast(prepared.key), Tier.MEMORY
            # Before the disk: copying a tile again costs less than keeping the copy: no cache ever sees it.
            if hit is None and self._tiles is not None:
                tile = await self._copied(self._tiles, prepared)
                hit, tier = None if tile is None else Derivative.of(tile), Tier.SOURCE
            is_new = hit is None and prepared.key not in self._flights and not self.room.is_full()
            if is_new:
                with self.room.on_its_way(prepared.key):
                    hit, tier = await self._cache.find(prepared.key), Tier.DISK
        if hit is not None:
            note_answer(tier)
            return prepared, hit
        made = await self._fly(prepared, is_missing=is_new)
        try:
            note_answer(made.tier, made.steps)
            if made.prepared.key != prepared.key:
                prepared = self._preparation.again(prepared, made.prepared.info)
        except BaseException:
            made.derivative.close()
            raise
        return prepared, made.derivative

    async def refusals(self, requests: Sequence[ImageRequest], ahead: int) -> list[ServerBusy | None]:
        """What requests are refused with for want of room; ``None`` for each that may have an answer.

        Args:
            requests: that did not come by :meth:`prepare`.
            ahead: so many others are on their way here.
        """
        refused: list[ServerBusy | None] = [None] * len(requests)
        places, wanted = [], []
        for place, request in enumerate(requests):
            with suppress(IIIFServerError):  # the framework tells
                prepared = self._preparation.at_once(request)
                if prepared is not None and not self._preparation.may_be_stored(prepared):
                    places.append(place)
                    wanted.append(prepared)
        for place, error in zip(places, await self.room.refusals(wanted, ahead), strict=True):
            refused[place] = error
        return refused

    async def _fly(self, prepared: PreparedImage, *, is_missing: bool) -> _Made:
        """Make a derivative with all others who want it, if there will be room for it in the pool.

        Args:
            prepared: the request.
            is_missing: whether the cache was just asked for it.
        """
        await self.room.check(prepared)
        is_new = prepared.key not in self._flights
        with self.room.on_its_way(prepared.key) if is_new else nullcontext():
            return await self._flights.run(prepared.key, lambda: self._make(prepared, is_missing=is_missing))

    def _is_coming(self, prepared: PreparedImage) -> bool:
        """Whether it is being made, or may be a tile of a pyramid."""
        identifier, info = prepared.request.identifier, prepared.info
        return prepared.key in self._flights or (
            self._pyramids is not None and self._pyramids.concerns(identifier, info, prepared.operation)
        )

    async def _copied(self, tiles: TileService, prepared: PreparedImage) -> bytes | None:
        """The stored tile that a request equals, if its source is stored in tiles."""
        if not self._preparation.may_be_stored(prepared):
            return None
        identifier, info = prepared.request.identifier, prepared.info

        async def confirm() -> bool:
            return (await self._infos.refresh(identifier)).version == info.version

        def source() -> TileSource:
            lend = partial(prepared.profile.use_source, info)
            return TileSource(info.version, identifier.page, lend, confirm)

        return await tiles.copy((identifier, info.version), prepared.operation, source)

    async def _make(self, prepared: PreparedImage, *, is_missing: bool) -> _Made:
        """Render, and keep the result only if the source is still the one that was asked about.

        A source that is replaced or half-written while it is read shows in its version; then the work is done
        again for what is there now.
        """
        for _ in range(_CHANGING_RETRIES):
            # Another flight may have landed between this request's look-up and its own take-off.
            if (found := self._cache.peek(prepared.key)) is not None:
                return _Made(prepared, found, Tier.MEMORY, {})
            began = perf_counter()
            if not is_missing and (found := await self._cache.find(prepared.key)) is not None:
                return _Made(prepared, found, Tier.DISK, {"cache": perf_counter() - began})
            is_missing = False  # of what is made next
            async with self._cache.making(prepared.key) as stored:
                steps = {"cache": perf_counter() - began}
                if stored is not None:
                    return _Made(prepared, stored, Tier.DISK, steps)
                made, info = await self._obtain_unchanged(prepared)
                if made is not None:
                    tile, more = made
                    await self._keep(prepared.key, tile)
                    tier = Tier.PYRAMID if tile.is_stored else Tier.WORKER
                    return _Made(prepared, Derivative.of(tile.body), tier, {**steps, **more})
            prepared = self._preparation.again(prepared, info)
        raise SourceChanging(
            "The source of this image is being changed; try again in a moment.",
            log=f"the source of {prepared.request.identifier} changed {_CHANGING_RETRIES} times meanwhile",
            retry_after=2,
        )

    async def _obtain_unchanged(
        self, prepared: PreparedImage
    ) -> tuple[tuple[Tile, Mapping[str, float]] | None, ImageInfo]:
        """Obtain, and look at the source again: ``None`` and what it is now, if it changed meanwhile."""
        made, failure = None, None
        try:
            made = await self._obtain(prepared)
        except (UnreadableSource, SourceChanging) as error:
            failure = error
        info = await self._infos.refresh(prepared.request.identifier)
        if info.version != prepared.info.version:
            return None, info
        if failure is not None:
            raise failure
        return made, info

    async def _obtain(self, prepared: PreparedImage) -> tuple[Tile, Mapping[str, float]]:
        """The result, from the image's pyramid if that has it, and the seconds of each step of making it."""
        steps: dict[str, float] = {}

        async def render(is_alone: bool) -> bytes:
            outcome = await self._render(prepared, is_alone=is_alone)
            steps.update({"queue": outcome.waited} | read_steps(outcome.meta))
            return outcome.body

        if self._pyramids is None:
            return Tile(await render(False), is_stored=False), steps
        identifier, info = prepared.request.identifier, prepared.info
        return await self._pyramids.tile(identifier, info, prepared.operation, render), steps

    async def _keep(self, key: str, made: Tile) -> None:
        if made.is_stored:
            self._cache.put_fast(key, made.body)  # on a disk it is already
        else:
            await self._cache.put(key, made.body)

    async def _render(self, prepared: PreparedImage, *, is_alone: bool = False) -> Outcome:
        self.room.arrived(prepared.key)
        self._pool.check_room()  # before a source is fetched
        operation, info, identifier = prepared.operation, prepared.info, prepared.request.identifier
        # Smaller copies are of the first page.
        hint = operation.size if operation.is_full_region and identifier.page == 1 else None
        async with prepared.profile.use_source(info, hint) as path:
            source = SourceFile(str(path), info.version, identifier.page)
            task = RenderTask(source, operation, self._rules[identifier.profile].settings, is_alone)
            may_be_copy = hint is not None
            cost = await derivative_cost(prepared.profile, info, task, may_be_copy=may_be_copy)
            if cost.memory > self._largest_task and not is_alone:  # then without its neighbours, perhaps
                is_alone, task = True, replace(task, is_alone=True)
                cost = await derivative_cost(prepared.profile, info, task, may_be_copy=may_be_copy)
            is_shared = not is_alone and info.tile is None and cost.kept <= self._kept_memory
            return await self._pool.run(
                Task(
                    "render",
                    task,
                    affinity=f"{path}\0{info.version}",
                    heavy=is_heavy(operation, cost),
                    share=shared_decoding(operation, info.decoding) if is_shared else None,
                    memory=cost.memory,
                )
            )

"""Go through many images and their pyramids: what commands do, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from iiif_server.caches.pyramids import check_pyramid
from iiif_server.caches.sources.records import Fetched, StoredSource
from iiif_server.caches.sources.store import SourceStore
from iiif_server.caches.sources.writer import SourceWriter
from iiif_server.errors import IIIFServerError, NotFound
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.pyramids.index import DamagedPyramid
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.base import ListsNames, Profile
from iiif_server.services.infos import InfoService
from iiif_server.services.pyramid_builder import PyramidBuilder, kept_for
from iiif_server.services.pyramids import PyramidRules

_PAGE: Final = 1000

Outcome = Literal["built", "there", "left_out", "failed"]
State = Literal["current", "outdated", "damaged"]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What became of one image.

    Attributes:
        identifier: of the image.
        outcome: built now, there before, left out by a rule, or failed.
        pixels: of what was built now.
        size: of the pyramid's file, in bytes.
        reason: why there is none.
    """

    identifier: Identifier
    outcome: Outcome
    pixels: int = 0
    size: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class KeptPyramid:
    """A pyramid in the store.

    Attributes:
        key: that it is kept under.
        identifier: of the image.
        version: of the source that it was made of.
        size: of its file, in bytes.
        tiles: how many are in it.
    """

    key: str
    identifier: Identifier
    version: str
    size: int
    tiles: int


class PyramidRun:
    """Builds the pyramids of many images.

    Args:
        infos: what is known of the images.
        builder: builds them.
        rules: which sources get one, by the profile's name.
        settings: what tiles are made by, by the profile's name.
    """

    def __init__(
        self,
        infos: InfoService,
        builder: PyramidBuilder,
        rules: Mapping[str, PyramidRules],
        settings: Mapping[str, RenderSettings],
    ) -> None:
        self._infos = infos
        self._builder = builder
        self._rules = rules
        self._settings = settings

    async def build(
        self, images: AsyncIterator[Identifier], jobs: int, tell: Callable[[ImageResult], None]
    ) -> None:
        """Build what is not there, ``jobs`` at a time; one that fails does not keep the others.

        Args:
            images: which ones; no more are taken than are worked on.
            jobs: how many at a time.
            tell: hears of each as it ends.
        """

        async def work() -> None:
            async for identifier in _shared(images, turn):
                tell(await self._build(identifier))

        turn = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(work())

    async def state(self, kept: KeptPyramid, store: SourceStore) -> State:
        """Whether a pyramid is whole, and the one that would be built now.

        Raises:
            IIIFServerError: its image can't be looked at.
        """
        try:
            async with store.lease(kept.key, _keep, max_age=None) as stored:
                await asyncio.to_thread(check_pyramid, stored.path)
        except (DamagedPyramid, OSError):
            return "damaged"
        try:
            _, info = await self._infos.get(kept.identifier)
        except NotFound:
            return "outdated"
        return "current" if self._builder.key(kept.identifier, info) == kept.key else "outdated"

    async def _build(self, identifier: Identifier) -> ImageResult:
        try:
            _, info = await self._infos.get(identifier)
            rules, settings = self._rules[identifier.profile], self._settings[identifier.profile]
            if not rules.wants(info, settings):
                return ImageResult(identifier, "left_out", reason="it is small, or stored in tiles")
            built = await self._builder.build(identifier, info)
        except IIIFServerError as error:
            return ImageResult(identifier, "failed", reason=error.log)
        if built.left_out is not None:
            return ImageResult(identifier, "left_out", reason=built.left_out)
        if not built.is_new:
            return ImageResult(identifier, "there", size=built.size)
        return ImageResult(identifier, "built", pixels=info.width * info.height, size=built.size)


async def listed(profile: Profile[Any]) -> AsyncIterator[Identifier]:
    """Every image of a profile that lists its names; none of another."""
    if not isinstance(profile, ListsNames):
        return
    after = None
    while names := await profile.list_names(after, _PAGE):
        for name in names:
            yield Identifier(profile.context.name, name)
        after = names[-1]


async def kept_pyramids(store: SourceStore) -> AsyncIterator[KeptPyramid]:
    """Every pyramid in a store, in no order."""
    async for key in store.stored_keys():
        if (record := await store.stored(key)) is not None:
            profile, name, page, version = kept_for(key)
            tiles = int(record.notes.get("tiles", 0))
            yield KeptPyramid(key, Identifier(profile, name, page), version, record.size, tiles)


async def _shared(images: AsyncIterator[Identifier], turn: asyncio.Lock) -> AsyncIterator[Identifier]:
    """The images that nobody else took."""
    while True:
        async with turn:
            try:
                identifier = await anext(images)
            except StopAsyncIteration:
                return
        yield identifier


def _keep(_: SourceWriter, __: StoredSource | None) -> Awaitable[Fetched]:
    """What is there is lent however old it is; what has gone meanwhile is not fetched."""
    raise DamagedPyramid("it was removed meanwhile")

"""Build the pyramid of one image into the store, once for everybody who wants it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from iiif_server.caches.sources.records import Fetched, StoredSource
from iiif_server.caches.sources.store import SourceStore
from iiif_server.caches.sources.writer import SourceWriter
from iiif_server.errors import RenderFailed, ServerBusy, SourceChanging, SourceTooLarge
from iiif_server.execution.messages import Task, TaskRunner
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.cost import pyramid_memory
from iiif_server.imaging.decoding import typical
from iiif_server.imaging.tasks import RENDER_VERSION, PyramidTask, RenderSettings, SourceFile
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.infos import InfoService

_VERSION: Final = 1
"""Of the files: raise it when they are written in another way."""

_ROOM_PER_PIXEL: Final = 1.5
_ROOM_PER_BYTE: Final = 1.25
"""Of the source: its tiles at full scale may be its own data, in pieces."""


@dataclass(frozen=True, slots=True)
class TileRules:
    """How the tiles of one profile are made.

    Attributes:
        settings: everything configured.
        renderer: a fingerprint of the installed codecs.
    """

    settings: RenderSettings
    renderer: str


class BuildOutcome(NamedTuple):
    """What became of a pyramid.

    Attributes:
        size: bytes of its file.
        tiles: how many are in it.
        is_new: whether it was built now.
        left_out: why there is none, if there is none.
    """

    size: int = 0
    tiles: int = 0
    is_new: bool = False
    left_out: str | None = None


class KeptFor(NamedTuple):
    """What a pyramid in the store belongs to, as its key tells."""

    profile: str
    name: str
    page: int
    version: str


class BuildingPool(TaskRunner, Protocol):
    """A pool that tells whether a build leaves it a worker."""

    def is_taken_by(self, affinity: str) -> bool:
        """Tell whether every worker is at a task of this affinity key."""
        ...


class _LeftOut(Exception):
    """A source that gets no pyramid."""


class PyramidBuilder:
    """Builds pyramids in workers, each once at a time in all processes that share the store.

    Args:
        store: keeps them.
        pool: where they are built, in the lane that leaves workers free for people.
        infos: what is known of the images.
        rules: by the profile's name.
        timeout: seconds that one may take.
    """

    def __init__(
        self,
        store: SourceStore,
        pool: BuildingPool,
        infos: InfoService,
        rules: Mapping[str, TileRules],
        timeout: float,
    ) -> None:
        self._store = store
        self._pool = pool
        self._infos = infos
        self._rules = rules
        self._timeout = timeout
        self._begun: dict[str, str] = {}

    def key(self, identifier: Identifier, info: ImageInfo) -> str:
        """What the pyramid is kept under: the source's version, and all that its tiles are made by."""
        rules = self._rules[identifier.profile]
        made_by = [_VERSION, RENDER_VERSION, rules.renderer, _tile_settings(rules.settings)]
        return json.dumps([identifier.profile, identifier.name, identifier.page, info.version, made_by])

    def has_all_workers(self, key: str) -> bool:
        """Tell whether a build leaves this process no worker, so that no tile can be made before its end."""
        affinity = self._begun.get(key)
        return affinity is not None and self._pool.is_taken_by(affinity)

    @property
    def room(self) -> int:
        """How many tasks may wait for a worker."""
        return self._pool.room

    async def is_there(self, key: str) -> bool:
        """Tell whether a pyramid is in the store."""
        return await self._store.stored(key) is not None

    async def build(self, identifier: Identifier, info: ImageInfo) -> BuildOutcome:
        """Build a pyramid, unless it is there.

        Raises:
            RenderFailed: there is no room for it, or it can't be built.
            ServerBusy: there is no worker for it at the moment.
            SourceChanging: the source changed meanwhile.
            IIIFServerError: whatever keeps it from being built.
        """
        outcome = BuildOutcome()

        async def fetch(writer: SourceWriter, _: StoredSource | None) -> Fetched:
            nonlocal outcome
            outcome = await self._fetch(writer, identifier, info)
            return Fetched(version=info.version, media_type="image/tiff", notes={"tiles": str(outcome.tiles)})

        try:
            async with self._store.lease(self.key(identifier, info), fetch, max_age=None) as stored:
                if not outcome.is_new:
                    return BuildOutcome(stored.size, int(stored.notes.get("tiles", 0)))
                return outcome
        except _LeftOut as reason:
            return BuildOutcome(left_out=str(reason))

    async def _fetch(self, writer: SourceWriter, identifier: Identifier, info: ImageInfo) -> BuildOutcome:
        profile, _ = await self._infos.get(identifier)
        async with profile.use_source(info) as path:
            length = await asyncio.to_thread(os.path.getsize, path)
            room = round(_ROOM_PER_PIXEL * info.width * info.height + _ROOM_PER_BYTE * length) + (1 << 20)
            try:
                target = await writer.hand_over(room)
            except (ServerBusy, SourceTooLarge):
                # That won't change soon: not to be tried again as one tries a busy server.
                raise RenderFailed(
                    "There is no room for a pyramid.", log=f"no room for {room} bytes"
                ) from None
            made = await self._run(identifier, info, path, target, room)
        if (await self._infos.refresh(identifier)).version != info.version:
            raise SourceChanging("The source of this image is being changed.", retry_after=2)
        if (reason := made.get("left_out")) is not None:
            raise _LeftOut(reason)
        await writer.take_back(int(made["size"]))
        return BuildOutcome(int(made["size"]), int(made["tiles"]), is_new=True)

    async def _run(
        self, identifier: Identifier, info: ImageInfo, path: Path, target: Path, room: int
    ) -> dict[str, Any]:
        inode = (await asyncio.to_thread(os.stat, target)).st_ino
        source = SourceFile(str(path), info.version, identifier.page)
        settings = self._rules[identifier.profile].settings
        task = PyramidTask(source, settings, str(target), inode, room)
        # A deadline missed by a pyramid is not held against the source: its tiles may come singly.
        affinity = f"pyramid\0{path}\0{info.version}"
        memory = await self._memory(identifier, info, path)
        building = Task("pyramid", task, affinity, heavy=True, timeout=self._timeout, memory=memory)
        key = self.key(identifier, info)
        self._begun[key] = affinity
        try:
            return (await self._pool.run(building)).meta
        finally:
            del self._begun[key]

    async def _memory(self, identifier: Identifier, info: ImageInfo, path: Path) -> int:
        """Bytes that building takes, by the header of the source."""
        decoding = info.decoding
        if decoding is None:
            profile, _ = await self._infos.get(identifier)
            seen = await profile.context.probe(path, info.version, identifier.page)
            decoding = seen.decoding or typical(info.media_type)
        settings = self._rules[identifier.profile].settings
        return 0 if decoding.parts else pyramid_memory(info.size, decoding, settings)


def kept_for(key: str) -> KeptFor:
    """What a key in the store was made of."""
    profile, name, page, version, _ = json.loads(key)
    return KeptFor(profile, name, page, version)


def _tile_settings(settings: RenderSettings) -> dict[str, Any]:
    """Those settings that change a JPEG tile."""
    return {
        "jpeg_quality": settings.jpeg_quality,
        "jpeg_progressive": settings.jpeg_progressive,
        "jpeg_subsampling": settings.jpeg_subsampling,
        "background": settings.background,
        "lossless": settings.lossless,
    }

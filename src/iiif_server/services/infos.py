"""What is known of an image: looked up in its profile, remembered for a moment, kept by version."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lru import LRU

from iiif_server.caches.single_flight import SingleFlight
from iiif_server.execution.messages import Task, TaskRunner
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.tasks import SourceFile, SourceProperties
from iiif_server.profiles.base import ImageInfo, Profile
from iiif_server.profiles.registry import ProfileRegistry


class Prober:
    """Looks at source headers in workers and remembers what it saw, by path and version.

    Args:
        pool: where the looking is done.
        capacity: how many answers to remember; 0 remembers none.
    """

    def __init__(self, pool: TaskRunner, capacity: int) -> None:
        self._pool = pool
        self._known: LRU[SourceFile, SourceProperties] | None = LRU(capacity) if capacity else None
        self._flights: SingleFlight[SourceProperties] = SingleFlight()

    async def __call__(self, path: Path, version: str, page: int = 1) -> SourceProperties:
        """The properties of a page of the file at ``path``, whose bytes are known as ``version``."""
        file = SourceFile(str(path), version, page)
        if self._known is not None and (known := self._known.get(file)) is not None:
            return known
        properties = await self._flights.run(file, lambda: self._probe(file))
        if self._known is not None:
            self._known[file] = properties
        return properties

    async def _probe(self, file: SourceFile) -> SourceProperties:
        outcome = await self._pool.run(Task("probe", file, affinity=f"{file.path}\0{file.version}"))
        return SourceProperties.from_json(outcome.meta)


class InfoService:
    """Answers what an image is, asking its profile at most once per ``source_check_interval``."""

    def __init__(self, registry: ProfileRegistry) -> None:
        self._registry = registry
        self._flights: SingleFlight[ImageInfo] = SingleFlight()
        self._known: dict[str, LRU[Identifier, tuple[ImageInfo, float]]] = {
            profile.context.name: LRU(profile.options.info_json_cache_size)
            for profile in registry
            if profile.options.info_json_cache_size
        }

    async def get(self, identifier: Identifier) -> tuple[Profile[Any], ImageInfo]:
        """The image's profile and info, at most ``source_check_interval`` seconds old.

        Raises:
            ProfileNotFound: the identifier's profile is not configured.
            ImageNotFound: the profile has no such image.
        """
        profile = self._registry.get(identifier.profile)
        if (info := self._fresh(profile, identifier)) is None:
            info = await self._flights.run(str(identifier), lambda: self.refresh(identifier))
        return profile, info

    def profile(self, identifier: Identifier) -> Profile[Any]:
        """The profile that an identifier names.

        Raises:
            ProfileNotFound: it is not configured.
        """
        return self._registry.get(identifier.profile)

    def known(self, identifier: Identifier) -> ImageInfo | None:
        """The image's info, if the profile need not be asked for it at the moment."""
        return self._fresh(self.profile(identifier), identifier)

    def _fresh(self, profile: Profile[Any], identifier: Identifier) -> ImageInfo | None:
        known = self._known.get(identifier.profile)
        if known is None or (entry := known.get(identifier)) is None:
            return None
        info, checked = entry
        return info if time.monotonic() - checked < profile.options.source_check_interval else None

    def remembered(self, profile: str) -> int:
        """Of how many images of a profile the info is kept."""
        known = self._known.get(profile)
        return 0 if known is None else len(known)

    async def refresh(self, identifier: Identifier) -> ImageInfo:
        """Ask the profile now, sharing nobody's earlier question."""
        profile = self._registry.get(identifier.profile)
        known = self._known.get(identifier.profile)
        try:
            info = await _ask(profile, identifier)
        except BaseException:
            if known is not None:
                known.pop(identifier, None)
            raise
        if known is not None:
            if (before := known.get(identifier)) is not None and before[0] == info:
                info = before[0]  # what was computed from it is kept by its identity
            known[identifier] = (info, time.monotonic())
        return info


async def _ask(profile: Profile[Any], identifier: Identifier) -> ImageInfo:
    """What the profile knows; of another page than the first, the header says what differs."""
    info: ImageInfo = await profile.get_info(identifier.name)
    if identifier.page == 1:
        return info
    async with profile.use_source(info) as path:
        page = await profile.context.probe(path, info.version, identifier.page)
    return replace(
        info,
        width=page.width,
        height=page.height,
        has_color=page.has_color,
        resolution=page.resolution,
        tile=page.tile,
        decoding=page.decoding,
    )

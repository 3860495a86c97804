"""Find stored files, and open them: the originals that people download."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from iiif_server.caches.derivative import FileSlice
from iiif_server.caches.keys import original_key
from iiif_server.errors import (
    RenderFailed,
    SourceChanging,
    SourceSetAside,
    SourceTooLarge,
    TaskTimeout,
    UnreadableSource,
)
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.source_formats import START, recognise_source
from iiif_server.profiles.base import LendsOriginals, Profile
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.infos import InfoService
from iiif_server.services.stored import Body, begun, open_stored

UNKNOWN_TYPE: Final = "application/octet-stream"

_CHANGING_RETRIES = 3

_NOT_SHOWN = (UnreadableSource, SourceTooLarge, SourceSetAside, RenderFailed, TaskTimeout)
"""What keeps an image from being shown, but not its file from being downloaded."""


@dataclass(frozen=True, slots=True)
class Original:
    """A stored file, as far as it is known without reading it.

    Attributes:
        identifier: that it was asked for by.
        profile: that it is of.
        version: of its bytes, if known.
        modified: when it last changed, in seconds since the epoch, if known.
        media_type: found from its bytes.
    """

    identifier: Identifier
    profile: Profile[Any]
    version: str | None
    modified: float | None
    media_type: str

    @property
    def key(self) -> str | None:
        """Its ETag, if there is a version to make one of."""
        if self.version is None:
            return None
        name = self.identifier.name
        return original_key(profile=self.identifier.profile, name=name, version=self.version)

    @property
    def is_lent(self) -> bool:
        """Tell whether it is a local file, of which parts can be sent."""
        return isinstance(self.profile, LendsOriginals)

    async def filename(self) -> str:
        """What its profile calls it."""
        return await self.profile.resolve_filename(self.identifier.name)

    async def length(self) -> int:
        """How many bytes it has, as its profile tells."""
        return await self.profile.resolve_original_size(self.identifier.name)


@dataclass(frozen=True, slots=True)
class OriginalService:
    """Finds stored files and opens them.

    Attributes:
        infos: what is known of the images.
        profiles: that they are of.
        chunk_size: the most bytes that a profile is asked for at a time.
    """

    infos: InfoService
    profiles: ProfileRegistry
    chunk_size: int

    async def find(self, identifier: Identifier, *, afresh: bool = False) -> Original:
        """What there is to download: enough to answer a conditional or HEAD request.

        A file that can't be shown, because it is damaged, too large or its codec is missing, is found all the
        same if it begins like an image of a known format. Nothing else is: directories of images hold other
        files as well, which nobody meant to publish.

        Args:
            identifier: of an image, or of one of its pages.
            afresh: ask the profile now, whatever is remembered.

        Raises:
            NotFound: there is no such profile or image.
            UnreadableSource: it is no image.
        """
        profile = self.profiles.get(identifier.profile)
        try:
            if afresh:
                info = await self.infos.refresh(identifier)
            else:
                _, info = await self.infos.get(identifier)
        except _NOT_SHOWN as error:
            return await self._recognised(identifier, profile, error)
        media_type = info.media_type or UNKNOWN_TYPE
        return Original(identifier, profile, info.version, info.modified, media_type)

    @asynccontextmanager
    async def open(self, original: Original) -> AsyncIterator[tuple[Original, Body]]:
        """Open a file, and make sure that it is the one that was found; else, what there is now.

        The profile is asked again while the file is open: what has the same version before and after is of
        that version.

        Raises:
            NotFound: it is gone.
            SourceChanging: it keeps changing.
        """
        for _ in range(_CHANGING_RETRIES):
            async with self.body(original) as body:
                now = await self.find(original.identifier, afresh=True)
                if now.version == original.version:
                    yield original, body
                    return
            original = now
        raise SourceChanging(
            "This file is being changed; try again in a moment.",
            log=f"the original of {original.identifier} changed {_CHANGING_RETRIES} times meanwhile",
            retry_after=2,
        )

    @asynccontextmanager
    async def body(self, original: Original) -> AsyncIterator[Body]:
        """Open a file in whatever version there is.

        Raises:
            NotFound: it is gone.
        """
        profile, name = original.profile, original.identifier.name
        if isinstance(profile, LendsOriginals):
            async with profile.use_original(name) as path:
                file = await open_stored(path)
            # What is open stays there: nothing has to be lent for as long as a slow client takes.
            with file.file:
                yield file
            return
        length = await original.length()
        async with begun(profile.stream_original(name, self.chunk_size), length) as streamed:
            yield streamed

    async def _recognised(self, identifier: Identifier, profile: Profile[Any], error: Exception) -> Original:
        """A file that can't be shown, if its first bytes are those of an image.

        Raises:
            Exception: the error, if they are not.
        """
        version, modified = None, None
        async with self.body(Original(identifier, profile, version, modified, UNKNOWN_TYPE)) as body:
            if isinstance(body, FileSlice):
                start, status = await asyncio.to_thread(_look, body)
                modified = status.st_mtime
                version = (
                    f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
                )
            else:
                start = body.start
        known = recognise_source(start)
        if known is None:
            raise error
        return Original(identifier, profile, version, modified, known.media_type)


def _look(file: FileSlice) -> tuple[bytes, os.stat_result]:
    descriptor = file.file.fileno()
    return os.pread(descriptor, START, 0), os.fstat(descriptor)

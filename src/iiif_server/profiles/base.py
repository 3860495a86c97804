"""The profile contract: what an image store has to tell, and what it may tell besides."""

from __future__ import annotations

import logging
import posixpath
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.tasks import SourceProperties
from iiif_server.profiles.options import ProfileOptions

OptionsT = TypeVar("OptionsT", bound=ProfileOptions)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What a profile knows of one image.

    Attributes:
        name: the image's name within its profile.
        width: of the full, upright image, in pixels.
        height: the same.
        version: changes whenever the source's bytes change; part of every cache key and ETag.
        modified: when the source last changed, in seconds since the epoch, if known (``Last-Modified``).
        media_type: of the stored file, if known.
        has_color: whether the image is more than gray.
        rights: a rights URI of this image, where it has its own.
        resolution: pixels per inch of the full, upright image, if known; ``physical_scale`` tells clients.
        tile: the size of the tiles that the source is stored in, if it is; info.json then offers these.
        decoding: what decoding the source takes, if a probe told it.
    """

    name: str
    width: int
    height: int
    version: str
    modified: float | None = None
    media_type: str | None = None
    has_color: bool = True
    rights: str | None = None
    resolution: float | None = None
    tile: Dimensions | None = None
    decoding: Decoding | None = None

    @classmethod
    def of(
        cls,
        name: str,
        version: str,
        seen: SourceProperties,
        *,
        modified: float | None = None,
        rights: str | None = None,
    ) -> Self:
        """What a look at the source's header told: ``ImageInfo.of(name, version, await context.probe(…))``.

        Args:
            name: the image's name within its profile.
            version: changes whenever the source's bytes change.
            seen: what the probe saw.
            modified: when the source last changed, in seconds since the epoch, if known.
            rights: a rights URI of this image, where it has its own.
        """
        return cls(
            name,
            seen.width,
            seen.height,
            version,
            modified=modified,
            media_type=seen.media_type,
            has_color=seen.has_color,
            rights=rights,
            resolution=seen.resolution,
            tile=seen.tile,
            decoding=seen.decoding,
        )

    @property
    def piece(self) -> Dimensions | None:
        """The size of the pieces that the source is decoded in, if it is."""
        return None if self.decoding is None else self.decoding.piece

    @property
    def size(self) -> Dimensions:
        """The full, upright image's width and height."""
        return Dimensions(self.width, self.height)


class Probe(Protocol):
    """Looks at the header of a local file in a worker; answers are remembered by all three arguments."""

    def __call__(self, path: Path, version: str, page: int = 1) -> Awaitable[SourceProperties]:
        """What the header of a page tells, of a file whose bytes are known under a version.

        Raises:
            ImageNotFound: there is no such file or page.
            UnreadableSource: it is damaged, or of a format that is not read.
            SourceTooLarge: it is beyond the limits.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProfileContext:
    """What the server gives to a profile.

    Attributes:
        name: the profile's name in the configuration.
        source_path: a directory for this profile's sources, where its options name none; it need not exist.
        cache_path: a directory for whatever this profile keeps; it need not exist.
        probe: looks at a local file's header in a worker: ``await probe(path, version)``.
        logger: logs at the profile's configured ``log_level``.
        max_source_bytes: what a source may have. Workers refuse larger ones, so do not fetch them.
    """

    name: str
    source_path: Path
    cache_path: Path
    probe: Probe
    logger: logging.Logger
    max_source_bytes: int = 4 << 30


class Profile(ABC, Generic[OptionsT]):
    """One configured place that images come from. Subclass it, and register it as a :class:`ProfileType`.

    All methods run on the server's event loop and must not block it.

    Attributes:
        context: what the server provides.
        options: the profile's validated section of the configuration.
    """

    def __init__(self, context: ProfileContext, options: OptionsT) -> None:
        self.context = context
        self.options = options

    @property
    def source_directory(self) -> Path:
        """Where this profile's sources are, for an operator who wants them counted; it need not exist."""
        return self.context.source_path

    @abstractmethod
    async def get_info(self, name: str) -> ImageInfo:
        """Look an image up, afresh at each call.

        Raises:
            ImageNotFound: there is no such image, or it may not be shown.
            IIIFServerError: it can't be served, for the reason that the error stands for.
        """

    @abstractmethod
    def use_source(
        self, info: ImageInfo, size_hint: Dimensions | None = None
    ) -> AbstractAsyncContextManager[Path]:
        """Lend a local file of the image: ``async with profile.use_source(info) as path``.

        The path is absolute, leads to a regular file without a link at its end, and stays valid while the
        context is open. ``size_hint`` is set when the whole image is wanted at
        this size: a profile that has smaller copies may lend one that is at least as large.
        If the image has changed since ``info`` was told, lend what is there now.

        Raises:
            ImageNotFound: it has vanished meanwhile.
        """

    async def resolve_filename(self, name: str) -> str:
        """The name to give to a download of the stored file, with its suffix.

        By default the last part of the image's name. The server makes it safe to send and to save.

        Raises:
            ImageNotFound: there is no such image.
        """
        return posixpath.basename(name)

    @abstractmethod
    async def resolve_original_size(self, name: str) -> int:
        """The stored file's size in bytes.

        Raises:
            ImageNotFound: there is no such image.
        """

    @abstractmethod
    def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """Yield the stored file's bytes in pieces of at most ``chunk_size`` bytes: an async generator.

        It is closed when the client has gone, so what it opened belongs into a ``with``.

        Raises:
            ImageNotFound: there is no such image.
        """

    async def get_status(self) -> Mapping[str, Any]:
        """What an operator wants to know of this profile, as JSON; by default nothing."""
        return {}

    async def open(self) -> None:
        """Make what has to be there before the first request: sessions, background tasks; by default nothing.

        Called once, on the running event loop. What is raised ends the server's start, without :meth:`close`:
        so a store that does not answer just now is no reason to raise.
        """

    async def close(self) -> None:
        """Let go of everything that is open. Called at the server's end, after :meth:`open`.

        A second call does nothing.
        """


@runtime_checkable
class ListsNames(Protocol):
    """A profile that can enumerate its images, in a stable order."""

    async def list_names(self, after: str | None, limit: int) -> Sequence[str]:
        """At most ``limit`` names that come after ``after``, or the first ones."""
        ...


@runtime_checkable
class LendsOriginals(Protocol):
    """A profile whose stored files are local ones: they are sent straight from the file system.

    Downloads are then faster, and can be resumed where they broke off.
    """

    def use_original(self, name: str) -> AbstractAsyncContextManager[Path]:
        """Lend the stored file, as :meth:`Profile.use_source` lends what workers read.

        Raises:
            ImageNotFound: there is no such image.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProfileType:
    """A kind of profile, as a plugin registers it with ``iiif_register_profiles``.

    Attributes:
        name: the ``type`` that a configuration names.
        options: the model of the profile's options.
        profile: the class to make an instance of for each configured profile.
    """

    name: str
    options: type[ProfileOptions]
    profile: type[Profile[Any]]

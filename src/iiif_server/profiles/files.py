"""Profiles whose images are files of this machine: all of a profile but which file an image is."""

from __future__ import annotations

import asyncio
import os
import stat
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import aiofiles

from iiif_server.errors import ImageNotFound
from iiif_server.iiif.geometry import Dimensions
from iiif_server.profiles.base import ImageInfo, OptionsT, Profile


class _Found(NamedTuple):
    """A regular file, as it is named and as it is opened: without links."""

    named: Path
    path: Path
    status: os.stat_result

    @property
    def version(self) -> str:
        return file_version(self.status)


def file_version(status: os.stat_result) -> str:
    """The version of a file's bytes, as far as the file system tells: its times, size and inode.

    Args:
        status: what ``os.stat`` or ``os.fstat`` tells of it.
    """
    return f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


class FileProfile(Profile[OptionsT]):
    """A profile whose images are files of this machine. Subclass it, and write :meth:`find`."""

    finds_real_paths: ClassVar[bool] = False
    """Whether :meth:`find` gives paths without links in them, which then need not be resolved once more."""

    @abstractmethod
    def find(self, name: str) -> Path | None:
        """The absolute path of an image's file; ``None`` if there is no image of this name.

        Called in a thread, so it may look at disks. That the path leads to a file is checked by the caller.
        It is followed through links wherever they lead: names come from strangers, so a path that is made of
        one has to be checked here.

        Raises:
            ImageNotFound: there is no such image, with the reason in ``log``.
        """

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`."""
        found = await _locate(self, name)
        seen = await self.context.probe(found.path, found.version)
        return ImageInfo.of(name, found.version, seen, modified=found.status.st_mtime)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`; there is one file per image, whatever the hint."""
        del size_hint
        yield (await _locate(self, info.name)).path

    @asynccontextmanager
    async def use_original(self, name: str) -> AsyncIterator[Path]:
        """See :class:`LendsOriginals`."""
        yield (await _locate(self, name)).path

    async def resolve_filename(self, name: str) -> str:
        """See :meth:`Profile.resolve_filename`."""
        return (await _locate(self, name)).named.name

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`."""
        return (await _locate(self, name)).status.st_size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncGenerator[bytes]:
        """See :meth:`Profile.stream_original`."""
        path = (await _locate(self, name)).path
        async with aiofiles.open(path, "rb") as file:
            while chunk := await file.read(chunk_size):
                yield chunk


# Not methods: what authors call theirs must not be in the way of these.


async def _locate(profile: FileProfile[Any], name: str) -> _Found:
    return await asyncio.to_thread(_look_up, profile, name)


def _look_up(profile: FileProfile[Any], name: str) -> _Found:
    try:
        named = profile.find(name)
        if named is None:
            raise _not_found(profile, name, "there is none")
        path = named if profile.finds_real_paths else Path(os.path.realpath(named, strict=True))
        status = os.stat(path, follow_symlinks=False)
    except (OSError, ValueError) as error:  # ValueError: surrogates that no file name can have
        raise _not_found(profile, name, str(error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise _not_found(profile, name, "it is not a regular file")
    return _Found(named, path, status)


def _not_found(profile: FileProfile[Any], name: str, reason: str) -> ImageNotFound:
    return ImageNotFound(log=f"{profile.context.name}: no image {name!r}: {reason}")

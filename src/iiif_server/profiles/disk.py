"""The disk profile: images that are files below one directory.

It imports what any other profile imports, ``iiif_server.api``, and comes in through the same hook.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import aiofiles
from pydantic import Field

from iiif_server.api import (
    Dimensions,
    ImageInfo,
    ImageNotFound,
    Profile,
    ProfileContext,
    ProfileOptions,
    ProfileType,
    hookimpl,
)

_LISTED_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        "jpg",
        "jpeg",
        "jpe",
        "mpo",
        "png",
        "tif",
        "tiff",
        "webp",
        "gif",
        "bmp",
        "jp2",
        "j2k",
        "j2c",
        "jpx",
        "jpf",
        "ptif",
        "btf",
        "svs",
        "avif",
        "heic",
        "heif",
        "hif",
    )
)


class DiskOptions(ProfileOptions):
    """Options of a ``disk`` profile."""

    path: Path | None = Field(
        default=None,
        description="Directory that holds the images, subdirectories included. "
        "By default the directory of the profile's name below `source_path`.",
    )
    follow_symlinks: bool = Field(
        default=False, description="Serve files that a symbolic link leads to outside of the directory."
    )


class DiskProfile(Profile[DiskOptions]):
    """Serves the files below a directory; an image's name is its path there, with ``/`` between the parts.

    A name never leads out of the directory: ``..``, absolute names and hidden files do not exist for it, and
    links that leave the directory are followed only if the options say so.
    """

    def __init__(self, context: ProfileContext, options: DiskOptions) -> None:
        super().__init__(context, options)
        self._directory = options.path or context.source_path

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`; the version follows the file's times, size and inode."""
        path, status = await asyncio.to_thread(self._locate, name)
        version = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
        properties = await self.context.probe(path, version)
        return ImageInfo(
            name,
            properties.width,
            properties.height,
            version,
            modified=status.st_mtime,
            media_type=properties.media_type,
            has_color=properties.has_color,
            resolution=properties.resolution,
            tile=properties.tile,
        )

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`; there is one file per image, whatever the hint."""
        del size_hint
        path, _ = await asyncio.to_thread(self._locate, info.name)
        yield path

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`."""
        _, status = await asyncio.to_thread(self._locate, name)
        return status.st_size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """See :meth:`Profile.stream_original`."""
        path, _ = await asyncio.to_thread(self._locate, name)
        async with aiofiles.open(path, "rb") as file:
            while chunk := await file.read(chunk_size):
                yield chunk

    async def list_names(self, after: str | None, limit: int) -> Sequence[str]:
        """The names of files that look like images, each directory in order of its names."""
        return await asyncio.to_thread(lambda: list(islice(self._walk(after), limit)))

    def _locate(self, name: str) -> tuple[Path, os.stat_result]:
        """Find a regular file by its name, without links in the path that comes back."""
        parts = name.split("/")
        # An empty, hidden, "." or ".." part names nothing; an absolute name begins with an empty one.
        if any(not part or part.startswith(".") or "\0" in part for part in parts):
            raise self._not_found(name)
        try:
            root = os.path.realpath(self._directory)
            path = os.path.realpath(os.path.join(root, *parts), strict=True)
            inside = path.startswith(root.rstrip(os.sep) + os.sep)
            if not inside and not self.options.follow_symlinks:
                raise self._not_found(name, f"it lies outside {root}, at {path}")
            status = os.stat(path, follow_symlinks=False)
        except (OSError, ValueError) as error:  # ValueError: surrogates that no file name can have
            raise self._not_found(name, str(error)) from None
        if not stat.S_ISREG(status.st_mode):
            raise self._not_found(name, "it is not a regular file")
        return Path(path), status

    def _not_found(self, name: str, reason: str = "no file can have this name") -> ImageNotFound:
        return ImageNotFound(
            "There is no image of this name.", log=f"{self.context.name}: no image {name!r}: {reason}"
        )

    def _walk(self, after: str | None) -> Iterator[str]:
        start = tuple(after.split("/")) if after else ()
        yield from _names_below(os.fspath(self._directory), (), start)


def _names_below(directory: str, parents: tuple[str, ...], start: tuple[str, ...]) -> Iterator[str]:
    """Names in order of their parts, those after ``start``; links to directories are not followed."""
    try:
        with os.scandir(directory) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except OSError:
        return
    for name, is_directory in found:
        parts = (*parents, name)
        if name.startswith(".") or parts < start[: len(parts)]:
            continue
        if is_directory:
            yield from _names_below(os.path.join(directory, name), parts, start)
        elif parts > start and os.path.splitext(name)[1].lower() in _LISTED_SUFFIXES:
            yield "/".join(parts)


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``disk``."""
    return [ProfileType("disk", DiskOptions, DiskProfile)]

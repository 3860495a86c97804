"""The disk profile: images that are files below one directory.

It imports what any other profile imports, ``iiif_server.api``, and comes in through the same hook.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import Field

from iiif_server.api import (
    SOURCE_FORMATS,
    FileProfile,
    ImageNotFound,
    ProfileContext,
    ProfileOptions,
    ProfileType,
    hookimpl,
)

_ROOT_SECONDS = 1.0
_LISTED_SUFFIXES = frozenset(f".{suffix}" for known in SOURCE_FORMATS for suffix in known.suffixes)


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


class DiskProfile(FileProfile[DiskOptions]):
    """Serves the files below a directory; an image's name is its path there, with ``/`` between the parts.

    A name never leads out of the directory: ``..``, absolute names and hidden files do not exist for it, and
    links that leave the directory are followed only if the options say so.
    """

    finds_real_paths = True

    def __init__(self, context: ProfileContext, options: DiskOptions) -> None:
        super().__init__(context, options)
        self._directory = options.path or context.source_path
        self._root, self._root_until = "", 0.0

    @property
    def source_directory(self) -> Path:
        """See :attr:`Profile.source_directory`."""
        return self._directory

    def find(self, name: str) -> Path:
        """See :meth:`FileProfile.find`."""
        parts = name.split("/")
        # An empty, hidden, "." or ".." part names nothing; an absolute name begins with an empty one.
        if any(not part or part.startswith(".") or "\0" in part for part in parts):
            raise self._refused(name, "no file can have this name")
        root = self._resolved_directory()
        path = root.rstrip(os.sep)
        for part in parts:
            path = f"{path}{os.sep}{part}"
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return self._followed(name, root, os.path.join(root, *parts))
        return Path(path)

    def _followed(self, name: str, root: str, link: str) -> Path:
        """Where a path with links in it leads, if that may be served."""
        path = os.path.realpath(link, strict=True)
        inside = path.startswith(root.rstrip(os.sep) + os.sep)
        if not inside and not self.options.follow_symlinks:
            raise self._refused(name, f"it lies outside {root}, at {path}")
        return Path(path)

    async def resolve_filename(self, name: str) -> str:
        """See :meth:`Profile.resolve_filename`; a link is called by its own name."""
        return posixpath.basename(name)

    async def list_names(self, after: str | None, limit: int) -> Sequence[str]:
        """The names of files that look like images, each directory in order of its names."""
        return await asyncio.to_thread(lambda: list(islice(self._walk(after), limit)))

    def _resolved_directory(self) -> str:
        """The directory without links, looked up at most once a second: each look costs a call per part."""
        now = time.monotonic()
        if now >= self._root_until:
            self._root, self._root_until = os.path.realpath(self._directory), now + _ROOT_SECONDS
        return self._root

    def _refused(self, name: str, reason: str) -> ImageNotFound:
        return ImageNotFound(log=f"{self.context.name}: no image {name!r}: {reason}")

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

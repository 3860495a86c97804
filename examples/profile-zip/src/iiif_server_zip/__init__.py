"""A profile whose images lie inside the ZIP archives of a directory."""

import asyncio
import json
import os
import stat
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pydantic import Field

from iiif_server.api import (
    SOURCE_FORMATS,
    ByteSize,
    Dimensions,
    Fetched,
    IIIFServerError,
    ImageInfo,
    ImageNotFound,
    Profile,
    ProfileContext,
    ProfileOptions,
    ProfileType,
    SourceStore,
    SourceTooLarge,
    SourceWriter,
    StoredSource,
    UnreadableSource,
    file_version,
    hookimpl,
    recognise_source,
)

PIECE = 1 << 18
SUFFIXES = tuple(f".{suffix}" for known in SOURCE_FORMATS for suffix in known.suffixes)
DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)
"""What :mod:`zipfile` raises, sooner or later, over a damaged archive."""


class ZipOptions(ProfileOptions):
    """Options of a ``zip`` profile."""

    directory: Path = Field(description="The directory that holds the archives.", examples=["/srv/herbarium"])
    cache_size: ByteSize = Field(default=1 << 30, description="What extracted images may take on disk.")


class ZipProfile(Profile[ZipOptions]):
    """An image's name is ``<archive>/<path inside>``, for example ``herbarium-1887.zip/plates/01.tif``."""

    def __init__(self, context: ProfileContext, options: ZipOptions) -> None:
        super().__init__(context, options)
        self._store = SourceStore(
            context.cache_path / "sources",
            options.cache_size,
            max_source_bytes=context.max_source_bytes,
            logger=context.logger,
        )

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`."""
        async with self._lease(name) as stored:
            seen = await self.context.probe(stored.path, stored.version)
        return ImageInfo.of(name, stored.version, seen, modified=stored.modified)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`."""
        del size_hint  # there is one file of each image
        async with self._lease(info.name) as stored:
            yield stored.path

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`."""
        async with self._member(name) as member:
            return member.size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncGenerator[bytes]:
        """See :meth:`Profile.stream_original`; straight from the archive."""
        async with self._member(name) as member:
            while piece := await asyncio.to_thread(member.read, chunk_size):
                yield piece

    async def list_names(self, after: str | None, limit: int) -> Sequence[str]:
        """See :class:`ListsNames`; by archive, and then by the path inside."""
        return await asyncio.to_thread(self._list, after or "", limit)

    async def get_status(self) -> Mapping[str, Any]:
        """See :meth:`Profile.get_status`."""
        return {"sources": self._store.statistics()}

    async def close(self) -> None:
        """See :meth:`Profile.close`."""
        await self._store.close()

    @asynccontextmanager
    async def _lease(self, name: str) -> AsyncIterator[StoredSource]:
        archive, _ = self._place(name)
        version = file_version(await asyncio.to_thread(look, archive))
        # What is kept under a key with the version in it never has to be asked for again.
        key = json.dumps([name, version])
        async with self._store.lease(key, partial(self._extract, name), max_age=None) as stored:
            yield stored

    async def _extract(self, name: str, writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        del previous  # there is none under a new key
        async with self._member(name) as member:
            await writer.expect(member.size)
            while piece := await asyncio.to_thread(member.read, PIECE):
                if not writer.size and recognise_source(piece) is None:
                    raise UnreadableSource("This is no image.", log=f"{name!r} is of no known format")
                await writer.write(piece)
        return Fetched(version=member.version, modified=member.modified)

    @asynccontextmanager
    async def _member(self, name: str) -> AsyncIterator["Member"]:
        path, inside = self._place(name)
        # A thread can't be cancelled. If this call is, nobody gets the member, and it closes what it opened.
        member = await asyncio.to_thread(Member, path, inside, self.context.max_source_bytes)
        try:
            yield member
        finally:
            await asyncio.to_thread(member.close)

    def _place(self, name: str) -> tuple[Path, str]:
        """The archive's path, and the path inside: that is never opened, only looked up in the archive."""
        archive, _, inside = name.partition("/")
        if not archive.endswith(".zip") or Path(archive).name != archive:
            raise ImageNotFound(log=f"{name!r} does not begin with an archive")
        return self.options.directory / archive, inside

    def _list(self, after: str, limit: int) -> list[str]:
        """Reads no more archives than it takes; blocks."""
        first, _, last = after.partition("/")
        names: list[str] = []
        for path in sorted(self.options.directory.glob("*.zip")):
            if path.name >= first and len(names) < limit:
                found = sorted(self._images(path))
                names += [f"{path.name}/{one}" for one in found if path.name > first or one > last]
        return names[:limit]

    def _images(self, path: Path) -> set[str]:
        try:
            with opened(path) as (archive, _):
                return {
                    info.filename
                    for info in archive.infolist()
                    if info.filename.lower().endswith(SUFFIXES)
                    and refusal(archive.getinfo(info.filename), self.context.max_source_bytes) is None
                }
        except (ImageNotFound, UnreadableSource) as error:
            self.context.logger.info("not listed: %s", error.log)
            return set()


class Member:
    """An image in an archive, open for reading. All of it blocks: it is used in threads.

    Attributes:
        version: follows the archive's times, size and inode, and the image's checksum.
        modified: when the archive last was, in seconds since the epoch.
        size: of the image's file, decompressed, in bytes.
    """

    def __init__(self, path: Path, inside: str, max_bytes: int) -> None:
        with ExitStack() as stack:
            archive, status = stack.enter_context(opened(path))
            try:
                info = archive.getinfo(inside)
            except KeyError:
                raise ImageNotFound(log=f"{path} has no {inside!r}") from None
            if error := refusal(info, max_bytes):
                raise error
            self._file = stack.enter_context(archive.open(info))
            self.close = stack.pop_all().close
        self._path = path
        self.size = self._left = info.file_size
        self.version = f"{file_version(status)}-{info.CRC:08x}"
        self.modified = status.st_mtime

    def read(self, size: int) -> bytes:
        """At most ``size`` of the next bytes, none at the end; zipfile compares the checksum there."""
        with refusing(self._path):
            piece = self._file.read(min(size, self._left))
            self._left -= len(piece)
            if not piece and self._left:
                raise EOFError(f"{self._left} bytes are missing")
            return piece


def look(path: Path) -> os.stat_result:
    """What the system tells of an archive; blocks."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: characters that no file name can have
        raise ImageNotFound(log=f"{path}: {error}") from None
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would take for ever
        raise ImageNotFound(log=f"{path} is no file")
    return status


@contextmanager
def opened(path: Path) -> Iterator[tuple[ZipFile, os.stat_result]]:
    """An archive, and what the system tells of that very file; blocks."""
    look(path)
    with refusing(path), path.open("rb") as file, ZipFile(file) as archive:
        yield archive, os.fstat(file.fileno())


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Answer for a damaged archive: 422, and no traceback in the log."""
    try:
        yield
    except DAMAGE as error:
        raise UnreadableSource("This image's archive is damaged.", log=f"{path}: {error!r}") from None


def refusal(info: ZipInfo, max_bytes: int) -> IIIFServerError | None:
    """Why a member of an archive is not served, by what the archive's directory tells; ``None`` if it is."""
    if info.is_dir():
        return ImageNotFound(log=f"{info.filename!r} is a directory")
    if info.flag_bits & 1:
        return UnreadableSource("This image is encrypted.", log=f"{info.filename!r} is encrypted")
    if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        # zipfile bounds what the others decompress to by nothing: a kilobyte may be a gigabyte.
        return UnreadableSource(
            "This image can't be extracted.", log=f"{info.filename!r}: {info.compress_type}"
        )
    if info.file_size > max_bytes:
        return SourceTooLarge(
            "This image's file is too large.", log=f"{info.filename!r}: {info.file_size} bytes"
        )
    return None


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Register ``zip``."""
    return [ProfileType("zip", ZipOptions, ZipProfile)]

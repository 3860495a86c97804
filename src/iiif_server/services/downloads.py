"""Pack originals into one archive while it is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final

from iiif_server.errors import (
    IIIFServerError,
    ImageNotFound,
    InvalidRequest,
    NotFound,
    ServerBusy,
    SourceChanging,
)
from iiif_server.iiif.uri import Identifier
from iiif_server.services.originals import Original, OriginalService
from iiif_server.services.stored import pieces_of
from iiif_server.services.zips import ZipEntry, ZipWriter

logger = logging.getLogger(__name__)

_LOOKUPS: Final = 4
"""How many originals of one download are looked up at the same time."""

_RETRY_AFTER: Final = 10


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What one download may hold, and how many there may be.

    Attributes:
        max_files: in one archive.
        max_size: of all files of one archive together, in bytes; 0 is no limit.
        max_downloads: archives that are made at the same time.
    """

    max_files: int
    max_size: int
    max_downloads: int


@dataclass(frozen=True, slots=True)
class Member:
    """A file that goes into an archive.

    Attributes:
        original: where it comes from.
        filename: what its profile calls it.
        length: in bytes, as its profile tells.
    """

    original: Original
    filename: str
    length: int


class DownloadService:
    """Makes archives of originals.

    Args:
        originals: finds and opens them.
        limits: what is allowed.
    """

    def __init__(self, originals: OriginalService, limits: DownloadLimits) -> None:
        self._originals = originals
        self._limits = limits
        self._running = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Be one of the downloads that run at the same time.

        Raises:
            ServerBusy: there are as many as may be.
        """
        if self._running >= self._limits.max_downloads:
            raise ServerBusy("Too many downloads at the moment; try again later.", retry_after=_RETRY_AFTER)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def members(self, identifiers: Iterable[Identifier], *, stop_on_error: bool) -> list[Member]:
        """Find out what goes into an archive: each original once, in the order in which they were asked for.

        Names of no image are left out, and listed in the log.

        Args:
            identifiers: of images; a page means the file that it is of.
            stop_on_error: if not, originals that can't be found out about are left out as well.

        Raises:
            ProfileNotFound: one of the identifiers names no profile.
            ImageNotFound: there is none of these images.
            InvalidRequest: there are too many, or too large ones.
            IIIFServerError: whatever keeps an original from being found.
        """
        wanted = list(dict.fromkeys(identifier._replace(page=1) for identifier in identifiers))
        if len(wanted) > self._limits.max_files:
            raise InvalidRequest(f"Too many images requested (max: {self._limits.max_files})")
        for identifier in wanted:
            self._originals.profiles.get(identifier.profile)
        turn = asyncio.Semaphore(_LOOKUPS)
        async with asyncio.TaskGroup() as group:
            lookups = [group.create_task(self._look_up(identifier, turn)) for identifier in wanted]
        members = []
        for identifier, lookup in zip(wanted, lookups, strict=True):
            match lookup.result():
                case Member() as member:
                    members.append(member)
                case NotFound() as error:
                    logger.info("zip: left out %s, which there is not: %s", identifier, error.log)
                case error:
                    if stop_on_error:
                        raise error
                    logger.warning("zip: left out %s: %s", identifier, error.log)
        if not members:
            raise ImageNotFound("There is none of these images." + _hint(wanted))
        self._check_size(members)
        return members

    async def stream(
        self, members: Sequence[tuple[Member, ZipEntry]], *, stop_on_error: bool
    ) -> AsyncGenerator[bytes]:
        """The archive, in pieces.

        Args:
            members: each with the entry that it becomes.
            stop_on_error: if not, an original that fails ends short or is left out, and the next one follows.

        Raises:
            Exception: whatever an original fails with.
        """
        with ZipWriter() as writer:
            for member, entry in members:
                try:
                    async with aclosing(self._entry(writer, member, entry)) as pieces:
                        async for piece in pieces:
                            yield piece
                except Exception as error:
                    if stop_on_error:
                        raise
                    reason = error.log if isinstance(error, IIIFServerError) else repr(error)
                    logger.warning("zip: %s is not whole: %s", member.original.identifier, reason)
                yield writer.take()
        yield writer.take()

    async def _look_up(self, identifier: Identifier, turn: asyncio.Semaphore) -> Member | IIIFServerError:
        async with turn:
            try:
                original = await self._originals.find(identifier)
                return Member(original, await original.filename(), await original.length())
            except IIIFServerError as error:
                return error

    async def _entry(self, writer: ZipWriter, member: Member, entry: ZipEntry) -> AsyncGenerator[bytes]:
        """One entry, but for what follows its bytes."""
        async with self._originals.body(member.original) as body:
            if body.length != member.length:
                raise _changed(member, body.length)
            sent = 0
            with writer.entry(entry) as write:
                async with aclosing(pieces_of(body)) as pieces:
                    async for piece in pieces:
                        write(piece)
                        sent += len(piece)
                        yield writer.take()
            if sent != member.length:
                raise _changed(member, sent)

    def _check_size(self, members: Iterable[Member]) -> None:
        limit, size = self._limits.max_size, sum(member.length for member in members)
        if limit and size > limit:
            raise InvalidRequest(f"These originals have {size} bytes together (max: {limit})")


def _hint(identifiers: Iterable[Identifier]) -> str:
    """What helps those whose client encoded the whole list."""
    has_commas = any("," in identifier.name for identifier in identifiers)
    return " Commas between identifiers are written as they are, not as %2C." if has_commas else ""


def _changed(member: Member, length: int) -> SourceChanging:
    return SourceChanging(
        "A file is being changed; try again in a moment.",
        log=f"{member.original.identifier} has {length} bytes where {member.length} were announced",
        retry_after=_RETRY_AFTER,
    )

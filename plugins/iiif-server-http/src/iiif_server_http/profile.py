"""The profile: names become URLs, URLs become files on loan."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiofiles
from yarl import URL

from iiif_server.api import (
    Dimensions,
    Fetched,
    ImageInfo,
    NotModified,
    Profile,
    ProfileContext,
    SourceStore,
    SourceWriter,
    StoredSource,
    UnreadableSource,
    UpstreamFailed,
)
from iiif_server_http.options import HttpOptions
from iiif_server_http.origin import Origin
from iiif_server_http.urls import AllowList, Template

_REMEMBERED: Final = 1000


class HttpProfile(Profile[HttpOptions]):
    """Images of web servers."""

    def __init__(self, context: ProfileContext, options: HttpOptions) -> None:
        super().__init__(context, options)
        self._rules = Template(options.url) if options.url else AllowList(options.allow)
        self._origin = Origin(self._rules, options)
        self._unreadable: dict[str, tuple[float, UnreadableSource]] = {}
        self._store = SourceStore(
            context.cache_path / "sources",
            options.cache_size,
            max_source_bytes=context.max_source_bytes,
            ttl=options.keep_for,
            failure_ttl=options.remember_failures,
            name_of=self._name_of,
            logger=context.logger,
        )

    @property
    def sources(self) -> SourceStore:
        """See :class:`KeepsSources`."""
        return self._store

    async def get_info(self, name: str) -> ImageInfo:
        """See :meth:`Profile.get_info`."""
        self._check_readable(name)
        try:
            async with self._lease(name) as stored:
                seen = await self.context.probe(stored.path, stored.version)
        except UnreadableSource as error:
            await self._drop(name, error)
            raise
        return ImageInfo.of(name, stored.version, seen, modified=stored.modified)

    @asynccontextmanager
    async def use_source(self, info: ImageInfo, size_hint: Dimensions | None = None) -> AsyncIterator[Path]:
        """See :meth:`Profile.use_source`."""
        del size_hint  # an origin has one file of each image
        async with self._lease(info.name) as stored:
            yield stored.path

    @asynccontextmanager
    async def use_original(self, name: str) -> AsyncIterator[Path]:
        """See :class:`LendsOriginals`."""
        async with self._lease(name) as stored:
            yield stored.path

    async def resolve_filename(self, name: str) -> str:
        """See :meth:`Profile.resolve_filename`."""
        async with self._lease(name) as stored:
            return stored.filename or await super().resolve_filename(name)

    async def resolve_original_size(self, name: str) -> int:
        """See :meth:`Profile.resolve_original_size`."""
        async with self._lease(name) as stored:
            return stored.size

    async def stream_original(self, name: str, chunk_size: int) -> AsyncIterator[bytes]:
        """See :meth:`Profile.stream_original`."""
        async with self._lease(name) as stored, aiofiles.open(stored.path, "rb") as file:
            while chunk := await file.read(chunk_size):
                yield chunk

    async def get_status(self) -> dict[str, Any]:
        """See :meth:`Profile.get_status`."""
        return {
            "origin": dict(self._origin.counts),
            "last_error": self._origin.last_error,
            "sources": self._store.statistics(),
        }

    async def close(self) -> None:
        """See :meth:`Profile.close`."""
        await self._store.close()
        await self._origin.close()

    @asynccontextmanager
    async def _lease(self, name: str) -> AsyncIterator[StoredSource]:
        """Lend an image's file, fetched or found unchanged within ``max_age``."""
        key, fetch = self._key(name), partial(self._fetch, name, self._rules.url(name))
        async with AsyncExitStack() as stack:
            try:
                stored = await stack.enter_async_context(
                    self._store.lease(key, fetch, max_age=self.options.max_age, stale_if_error=_Excused)
                )
            except _Excused as excused:  # the older file is gone meanwhile
                raise excused.failure from None
            yield stored

    async def _fetch(
        self, name: str, url: URL, writer: SourceWriter, previous: StoredSource | None
    ) -> Fetched | NotModified:
        try:
            return await self._origin.fetch(name, url, writer, previous)
        except UpstreamFailed as error:
            age = time.time() - previous.checked if previous is not None else float("inf")
            if age < self.options.max_age + self.options.stale_if_error:
                raise _Excused(error) from error
            raise

    def _key(self, name: str) -> str:
        return f"{self._rules.space}/{name}"

    @staticmethod
    def _name_of(key: str) -> str:
        return key.partition("/")[2]

    def _check_readable(self, name: str) -> None:
        until, error = self._unreadable.get(name, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error.with_traceback(None)
        self._unreadable.pop(name, None)

    async def _drop(self, name: str, error: UnreadableSource) -> None:
        """Keep nothing that the server can't read; the origin may have mended it soon."""
        await self._store.forget(self._key(name))
        while len(self._unreadable) >= _REMEMBERED:
            del self._unreadable[next(iter(self._unreadable))]
        self._unreadable[name] = (time.monotonic() + self.options.remember_failures, error)


class _Excused(Exception):
    """A failure for which an older file may stand in."""

    def __init__(self, failure: UpstreamFailed) -> None:
        super().__init__(failure.log)
        self.failure = failure

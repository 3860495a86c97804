"""Asking over HTTP, and what headers tell of a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

FIRST_BYTE: Final[Mapping[str, str]] = {hdrs.RANGE: "bytes=0-0"}
"""Asks for a file's headers: not every store answers HEAD, and one that knows no ranges is cut off."""

QUICK: Final = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=10)
"""For what is small."""

_PATIENT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=10)
"""For files, which take as long as they take, provided that they keep coming."""

_PAGES: Final = frozenset({"text/html", "text/plain", "application/xhtml+xml", "application/json"})
_CONTENT_RANGE: Final = re.compile(r"bytes 0-\d{1,3}/(\d{1,18})", re.ASCII)

Failure = Callable[[str], Exception]


class Session:
    """A client with its own connections, made when it is first used.

    Args:
        limit: connections at the same time.
        verify: the certificates.
    """

    def __init__(self, limit: int, *, verify: bool) -> None:
        self._limit = limit
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def get(
        self,
        url: URL,
        failure: Failure,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _PATIENT,  # noqa: ASYNC109 - handed to aiohttp, which knows more
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL; what fails before or while the answer is read is raised as the caller wants it."""
        try:
            async with self._connected().get(
                url, headers=headers, timeout=timeout, max_redirects=3
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure(f"{url}: {error!r}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, ssl=self._verify),
                cookie_jar=aiohttp.DummyCookieJar(),
                # A length is that of the file only if nothing is compressed on the way.
                headers={hdrs.ACCEPT_ENCODING: "identity"},
            )
        return self._session


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the headers of an answer tell of the file.

    Attributes:
        digest: changes with the bytes; ``None`` if the headers do not tell.
        size: in bytes, if known.
        modified: in seconds since the epoch, if known.
        media_type: if known.
    """

    digest: str | None
    size: int | None
    modified: float | None
    media_type: str | None


def stamp(response: aiohttp.ClientResponse) -> Stamp:
    """Read a file's stamp. A size alone does not tell whether the bytes changed."""
    headers = response.headers
    size = response.content_length
    if response.status == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get(hdrs.CONTENT_RANGE, ""))
        size = int(match[1]) if match else None
    tag, date = headers.get(hdrs.ETAG), headers.get(hdrs.LAST_MODIFIED)
    digest = None
    if tag or date:
        facts = repr((tag or date, size))
        digest = blake2b(facts.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    known = hdrs.CONTENT_TYPE in headers and response.content_type.startswith("image/")
    return Stamp(digest, size, _seconds(date), response.content_type if known else None)


def problem(response: aiohttp.ClientResponse) -> str | None:
    """Why an answer is no file of an image, if it is none; with the address it came from, for the log."""
    if response.status not in (200, 206):
        return f"{response.url}: {response.status}"
    if hdrs.CONTENT_TYPE in response.headers and response.content_type in _PAGES:
        return f"{response.url}: {response.content_type} instead of an image"
    return None


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None

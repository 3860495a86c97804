"""Asking an origin for an image: redirects, conditions, times, and what its answers mean."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
)
from yarl import URL

from iiif_server.api import (
    Fetched,
    IIIFServerError,
    ImageNotFound,
    NotModified,
    SourceWriter,
    StoredSource,
    UpstreamFailed,
    UpstreamTimeout,
)
from iiif_server_http.body import keep_body
from iiif_server_http.guard import guarded_connector
from iiif_server_http.options import HttpOptions
from iiif_server_http.urls import AllowList, Template, origin_of, parse, shown
from iiif_server_http.validators import conditions, date_of, filename_of, is_other, notes_of, version_of

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 3


@dataclass(frozen=True)
class _Answer:
    """What came at the end of the redirects.

    Attributes:
        response: whose body was not read yet.
        url: that answers.
        asked: the conditions that were sent.
        is_redirected: whether it is another URL than the first one.
    """

    response: ClientResponse
    url: URL
    asked: Mapping[str, str]
    is_redirected: bool


class Origin:
    """A client for one profile's images.

    Args:
        rules: which redirects stay at home.
        options: the profile's.
    """

    def __init__(self, rules: Template | AllowList, options: HttpOptions) -> None:
        self.counts = dict.fromkeys(
            ("requests", "redirects", "images", "not_modified", "not_found", "failed", "timeouts"), 0
        )
        self.last_error: dict[str, Any] | None = None
        self._rules = rules
        self._elsewhere = AllowList(options.allow_redirects)
        self._options = options
        self._headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._session: ClientSession | None = None
        self._tls = ssl.create_default_context(cafile=options.ca_file)
        if not options.verify_tls:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE

    async def fetch(
        self, name: str, url: URL, writer: SourceWriter, previous: StoredSource | None
    ) -> Fetched | NotModified:
        """Get an image, or find that it is as it was.

        Raises:
            ImageNotFound: the origin says that there is none.
            SourceTooLarge: it is.
            UpstreamFailed: the origin refuses, fails, or sends something else.
            UpstreamTimeout: it takes too long.
        """
        try:
            async with asyncio.timeout(self._options.total_timeout):
                return await self._fetch(name, url, writer, {} if previous is None else previous.notes)
        except ImageNotFound:
            self.counts["not_found"] += 1
            raise
        except IIIFServerError as error:
            raise self._noted(url, error) from None
        except (ClientError, OSError, ValueError) as error:
            raise self._noted(url, _meaning(error)) from error

    async def close(self) -> None:
        """Close what is open; a second call does nothing."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(
        self, name: str, url: URL, writer: SourceWriter, notes: Mapping[str, str]
    ) -> Fetched | NotModified:
        begun = time.monotonic()
        async with self._answer(url, notes) as answer:
            headers = answer.response.headers
            if answer.response.status != 304:
                _check_status(answer.response)
                await keep_body(answer.response, writer)
            elif not answer.asked:
                raise UpstreamFailed(_REFUSES, log="304, and nobody asked whether it changed")
            elif not is_other(notes, headers):
                self.counts["not_modified"] += 1
                return NotModified()
        if answer.response.status == 304:  # "not modified" of another image than ours: ask for all of it
            return await self._fetch(name, url, writer, {})
        there_now = notes_of(answer.url, headers)
        if time.monotonic() - begun >= self._options.verify_after:
            await self._verify(answer.url, there_now, is_home=origin_of(answer.url) == origin_of(url))
        self.counts["images"] += 1
        return Fetched(
            version=None if answer.is_redirected else version_of(headers, writer.size),
            filename=filename_of(url, headers, name),
            modified=date_of(headers, "Last-Modified"),
            notes=there_now,
        )

    @asynccontextmanager
    async def _answer(self, url: URL, notes: Mapping[str, str]) -> AsyncIterator[_Answer]:
        """Ask, and follow redirects where they may lead."""
        home = origin_of(url)
        for hop in range(_MOST_REDIRECTS + 1):
            asked = conditions(url, notes)
            async with self._get(url, asked, is_home=origin_of(url) == home) as response:
                if response.status not in _REDIRECTS:
                    yield _Answer(response, url, asked, is_redirected=bool(hop))
                    return
                url = self._target(url, response)
        raise UpstreamFailed(_REFUSES, log=f"more than {_MOST_REDIRECTS} redirects")

    @asynccontextmanager
    async def _get(
        self, url: URL, asked: Mapping[str, str], *, is_home: bool
    ) -> AsyncIterator[ClientResponse]:
        """One request; the operator's headers go to the first origin only."""
        self.counts["requests"] += 1
        headers = {
            "User-Agent": self._options.user_agent,
            "Accept": "image/*, */*;q=0.1",
            "Accept-Encoding": "identity",
            **asked,
        }
        if is_home:
            headers |= self._headers
        async with self._opened().get(url, headers=headers, allow_redirects=False) as response:
            yield response

    def _target(self, url: URL, response: ClientResponse) -> URL:
        """Where a redirect leads."""
        self.counts["redirects"] += 1
        location = response.headers.get("Location", "")
        try:
            target = parse(str(url.join(URL(location, encoded=True)).with_fragment(None)))
        except ValueError:
            raise UpstreamFailed(_REFUSES, log="a redirect to no URL that can be used") from None
        if not location or not (self._rules.allows(target) or self._elsewhere.allows(target)):
            raise UpstreamFailed(
                _REFUSES, log=f"a redirect to {shown(target)}, which allow_redirects does not name"
            )
        return target

    async def _verify(self, url: URL, notes: Mapping[str, str], *, is_home: bool) -> None:
        """Ask after a long transfer whether the image is still the one that was begun with."""
        asked = conditions(url, notes)
        if not asked:
            return
        async with self._get(url, asked, is_home=is_home) as response:
            if response.status == 200 and is_other(notes, response.headers):
                raise UpstreamFailed(
                    "The image changed while it was fetched.", log="it changed in transit", retry_after=1
                )

    def _opened(self) -> ClientSession:
        if self._session is None:
            options = self._options
            self._session = ClientSession(
                connector=guarded_connector(
                    options.private_networks,
                    limit=options.connections,
                    seconds=options.connect_timeout,
                    tls=self._tls,
                ),
                timeout=ClientTimeout(sock_connect=options.connect_timeout, sock_read=options.read_timeout),
                auto_decompress=False,
                cookie_jar=DummyCookieJar(),
            )
        return self._session

    def _noted(self, url: URL, error: IIIFServerError) -> IIIFServerError:
        error.log = f"{shown(url)}: {error.log}"
        self.counts["timeouts" if isinstance(error, UpstreamTimeout) else "failed"] += 1
        self.last_error = {"at": int(time.time()), "status": error.status, "what": error.log}
        return error


_REFUSES: Final = "The origin of this image does not hand it out."


def _check_status(response: ClientResponse) -> None:
    if response.status in {404, 410}:
        raise ImageNotFound(log=f"the origin says {response.status}")
    if response.status != 200:
        raise UpstreamFailed(_REFUSES, log=f"the origin says {response.status}")


def _meaning(error: Exception) -> IIIFServerError:
    """What a failure of the network is to those who wait; what it was is for the log."""
    cause = getattr(error, "os_error", error)
    if isinstance(error, ClientResponseError):  # its text has the URL with all its secrets
        text = f"{type(error).__name__}: {error.status} {error.message}"
    else:
        text = f"{type(error).__name__}: {error}"
    if isinstance(cause, TimeoutError):
        return UpstreamTimeout("The origin of this image does not answer in time.", log=text[:500])
    return UpstreamFailed("The origin of this image does not answer as it should.", log=text[:500])

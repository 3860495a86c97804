"""The real application on loopback, and answers of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession, ClientTimeout, web
from multidict import CIMultiDictProxy
from yarl import URL

from iiif_server.app import build_app
from iiif_server.config.shares import Share
from iiif_server.testing.profiles import ProfileSetup, configuration, plugins_for, routes_of

_TIMEOUT = ClientTimeout(total=60)


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end.

    Attributes:
        status: the number.
        headers: by their names in any case.
        body: decompressed.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        """The body's content as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningApp:
    """An application that listens, and a client to ask it with.

    Attributes:
        url: its address, without a slash at the end.
        session: an aiohttp client, for what :meth:`get` does not do.
    """

    url: str
    session: ClientSession

    async def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path, which is sent as it is; a redirect is not followed.

        Args:
            path: percent-encoded, with a slash in front.
            headers: of the request, with ``_`` for ``-``.
        """
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url + path, encoded=True)
        async with self.session.get(url, headers=fields, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())


def image_path(profile: str, name: str, parameters: str = "info.json") -> str:
    """The path of a request for an image: ``/profile:name/parameters``, the name percent-encoded."""
    return f"/{profile}:{quote(name, safe='', errors='surrogatepass')}/{parameters}"


@asynccontextmanager
async def running_app(share: Share, *setups: ProfileSetup, **settings: Any) -> AsyncIterator[RunningApp]:
    """Run the real application with these profiles and no others, on a free port of the loopback address.

    The routes of the plugins that the profiles are of are there, too.

    Args:
        share: of the server that this is, above all where its workers come from.
        setups: the profiles, at least one.
        settings: keys of the configuration's top level.
    """
    config = await asyncio.to_thread(configuration, list(setups), settings)
    plugins = plugins_for(*setups, routes=await asyncio.to_thread(routes_of, *setups))
    runner = web.AppRunner(build_app(config, plugins, share), handler_cancellation=True, access_log=None)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with ClientSession(timeout=_TIMEOUT, auto_decompress=True) as session:
            yield RunningApp(f"http://{host}:{port}", session)
    finally:
        await runner.cleanup()

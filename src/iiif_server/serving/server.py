"""One application after the other on the same sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web, web_app

from iiif_server.serving.application import ServedApplication
from iiif_server.serving.signals import END_SECONDS, end_within
from iiif_server.serving.tally import Tally

Build = Callable[[], web.Application]
"""Reads the configuration and makes an application. Blocks: called in a thread."""


class Server:
    """Serves one application, and replaces it without refusing a connection or dropping a request.

    Args:
        sockets: that listen already.
        tally: of the connections of all processes.
    """

    def __init__(self, sockets: Sequence[socket.socket], tally: Tally) -> None:
        self._sockets = sockets
        self._tally = tally
        self._current: ServedApplication | None = None
        self._former: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def run(self, work: Coroutine[Any, Any, None], end: asyncio.Event) -> None:
        """Do the work, which starts and reloads this server, until it fails or is to end; then close.

        The process ends within bounds, even if something hangs.

        Raises:
            Exception: whatever the work fails with.
        """
        working = asyncio.create_task(work)
        ending = asyncio.create_task(end.wait())
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        end_within(END_SECONDS)
        self._tally.end()
        for sock in self._sockets:
            sock.close()
        ending.cancel()
        working.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await working
        finally:
            await self.close()

    async def start(self, build: Build) -> None:
        """Serve the first application.

        Raises:
            ConfigurationError: it can't be made or started; nothing is left running.
        """
        self._current = await self._started(build)
        self._tally.begin()

    async def reload(self, build: Build) -> None:
        """Serve another application, and end the former one once its requests are answered.

        Returns as soon as the new one serves. Waits for the one before the former, so that there are never
        more than two.

        Raises:
            ConfigurationError: the new one can't be made or started; the former serves on.
        """
        await self._end_of_former()
        level = logging.getLogger("iiif_server").level
        try:
            fresh = await self._started(build)
        except BaseException:
            logging.getLogger("iiif_server").setLevel(level)
            raise
        former, self._current = self._current, fresh
        assert former is not None
        self._former = asyncio.create_task(self._end(former), name="end of the former application")

    async def close(self) -> None:
        """Take no more connections, answer what was asked within bounds, and end."""
        self._hurry.set()
        try:
            if self._current is not None:
                await self._current.end()
        finally:
            await self._end_of_former()

    async def _started(self, build: Build) -> ServedApplication:
        application = ServedApplication(await asyncio.to_thread(build), self._tally)
        await application.start(self._sockets)
        return application

    async def _end(self, former: ServedApplication) -> None:
        await former.end(self._hurry)
        del former
        # aiohttp remembers up to 1024 handlers with their applications, a megabyte in each.
        if remembered := getattr(web_app, "_cached_build_middleware", None):
            remembered.cache_clear()
        # Applications are full of circles, and Python looks for those of long life rarely. This stops the
        # loop for 50 to 100 ms, once a reload.
        gc.collect()

    async def _end_of_former(self) -> None:
        if self._former is not None:
            await asyncio.wait((self._former,))
            if not self._former.cancelled() and (error := self._former.exception()) is not None:
                logging.getLogger(__name__).error("ending the former application failed", exc_info=error)
            self._former = None

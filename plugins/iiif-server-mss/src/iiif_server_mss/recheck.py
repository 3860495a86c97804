"""Looking up again, now and then, what is remembered and kept: it may not be shown any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from iiif_server.api import IIIFServerError, ImageNotFound

from iiif_server_mss.files import Files
from iiif_server_mss.images import Image
from iiif_server_mss.lookups import Lookups

_AT_ONCE: Final = 4
_FAILURES: Final = 20
"""In a row: then a service is down, and nothing can be said of any image."""


class _Stopped(Exception):
    """The services do not answer."""


class Recheck:
    """Removes what is no longer accessible.

    Args:
        lookups: what is remembered.
        files: what is kept.
        interval: seconds from the end of one round to the next, and for which a round lasts at most; 0 for
            no rounds.
        logger: is told what was removed.
    """

    def __init__(
        self, lookups: Lookups[Image], files: Files, interval: float, logger: logging.Logger
    ) -> None:
        self._lookups = lookups
        self._files = files
        self._interval = interval
        self._logger = logger
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin."""
        if self._interval:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def round(self) -> int:
        """Look everything up that was not for an interval, the oldest first; how many images are gone.

        A look-up that fails removes nothing.
        """
        kept = await self._files.keys_by_name()
        old = self._lookups.names(self._interval)
        others = [name for name in kept if not self._lookups.is_known(name)]
        names = iter([*old, *others])
        self._failures = 0
        workers = [asyncio.create_task(self._work(names, kept)) for _ in range(_AT_ONCE)]
        try:
            gone = sum(await asyncio.gather(*workers))
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        if gone:
            self._logger.warning("re-check: %d images may no longer be shown and were removed", gone)
        return gone

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                async with asyncio.timeout(max(self._interval, 1)):
                    await self.round()
            except TimeoutError:
                self._logger.warning("re-check: not finished in %g s; the rest comes next", self._interval)
            except _Stopped as error:
                self._logger.warning("re-check: stopped, as the services do not answer: %s", error)
            except Exception:
                self._logger.exception("re-check: failed")

    async def _work(self, names: Iterator[str], kept: dict[str, list[str]]) -> int:
        gone = 0
        for name in names:
            try:
                await self._lookups.refresh(name)
            except ImageNotFound:
                gone += 1
                for key in kept.get(name, ()):
                    await self._files.forget(key)
            except (IIIFServerError, TimeoutError) as error:
                self._failures += 1
                if self._failures >= _FAILURES:
                    raise _Stopped(repr(error)) from error
                continue
            self._failures = 0
        return gone

"""The right to make a derivative: one process at a time, where several share a cache."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from iiif_server.caches.directory import CacheDirectory, claim_name
from iiif_server.caches.locks import create_locked, is_in_place
from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.threads import Threads
from iiif_server.errors import ServerBusy

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25


class Claims:
    """Locked files, one for each derivative that is being made.

    The lock of a process that was killed is free at once. Where nothing can be locked (a full or read-only
    disk, a file system without locks), there is no right to be had, and every process makes its own.

    Args:
        directory: that the processes share.
        wait_seconds: how long another process may have a right before we do without.
        complain: is told what keeps rights from being had.
    """

    def __init__(
        self, directory: CacheDirectory, wait_seconds: float, complain: Callable[[Exception], None]
    ) -> None:
        self._directory = directory
        self._wait_seconds = wait_seconds
        self._complain = complain
        self._threads = Threads(1, "cache-claim")

    async def take(self, key: str) -> int | None:
        """Wait for the right to make a derivative; ``None`` if there is none to be had.

        Whoever gets it looks into the cache again: the one before may have left the derivative there.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await self._poll(key)
        except TimeoutError:
            return None
        except (OSError, ForeignDirectory) as error:
            self._complain(error)
            return None
        except ServerBusy:  # the cache was closed
            return None

    def release(self, key: str, claim: int) -> None:
        """Give up a right. Returns at once, and never raises."""
        self._threads.later(self._remove, key, claim)

    async def close(self) -> None:
        """Give up what was given up, and end the thread."""
        await self._threads.close()

    async def _poll(self, key: str) -> int | None:
        def unwanted(claim: int) -> None:
            self._remove(key, claim)

        pause = _FIRST_PAUSE
        while (claim := await self._threads.run(self._try, key, unwanted=unwanted)) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return claim

    def _try(self, key: str) -> int | None:
        name = claim_name(key)
        try:
            with self._directory.leaf(key[:2]) as leaf:
                return create_locked(name, leaf)
        except FileNotFoundError:
            self._directory.make_leaf(key[:2])
            with self._directory.leaf(key[:2]) as leaf:
                return create_locked(name, leaf)

    def _remove(self, key: str, claim: int) -> None:
        name = claim_name(key)
        try:
            with suppress(OSError), self._directory.leaf(key[:2]) as leaf:
                if is_in_place(claim, name, leaf):
                    os.unlink(name, dir_fd=leaf)
        finally:
            os.close(claim)

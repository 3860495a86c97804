"""A few threads for file work, whose results do not get lost when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from iiif_server.errors import ServerBusy

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Threads:
    """Threads of one's own, so that file work waits for nobody else's.

    Args:
        count: of threads, each started when it is first needed.
        name: what they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(
        self, function: Callable[..., T], *arguments: Any, unwanted: Callable[[Any], object] | None = None
    ) -> T:
        """Call a function in a thread.

        Args:
            function: what to call.
            arguments: its arguments.
            unwanted: takes a result that is not ``None``, in a thread, if the one who waits is cancelled.

        Raises:
            ServerBusy: the threads were ended.
            Exception: whatever the function raises.
        """
        try:
            future = self._executor.submit(function, *arguments)
        except RuntimeError:
            raise closed() from None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if unwanted is not None:
                future.add_done_callback(partial(self._pass_on, unwanted))
            raise

    def later(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in a thread soon; :meth:`close` waits for it."""
        try:
            self._executor.submit(function, *arguments).add_done_callback(_report)
        except RuntimeError:  # closed
            function(*arguments)

    async def close(self) -> None:
        """Finish what was begun, and end the threads."""
        await asyncio.to_thread(self._executor.shutdown)

    def _pass_on(self, unwanted: Callable[[Any], object], future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None and future.result() is not None:
            # Later, since this runs on the event loop if the function had just ended.
            self.later(unwanted, future.result())


def closed() -> ServerBusy:
    """What those get who ask while the server ends."""
    return ServerBusy("The server is about to end.", log="a cache was used after it was closed")


def _report(future: Future[object]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.error("clearing up after a source failed", exc_info=error)

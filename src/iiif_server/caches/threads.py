"""A few threads for file work, whose results do not get lost when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from iiif_server.errors import ServerBusy

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Work:
    """A call that somebody waits for, on an event loop."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        unwanted: Callable[[Any], object] | None,
    ) -> None:
        self._function = function
        self._arguments = arguments
        self._unwanted = unwanted
        self._turn = deque((True,))  # whoever takes it begins the work, or withdraws it
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self.loop.create_future()
        self.is_abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None

    def take(self) -> bool:
        """Take the right to begin, or to have it not begun; ``False`` if the other side has it."""
        try:
            self._turn.pop()
        except IndexError:
            return False
        return True

    def do(self) -> None:
        """In a thread."""
        try:
            self.result = self._function(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            self.error = error
        if self.is_abandoned:
            self.hand_over()

    def hand_over(self) -> None:
        """In a thread: give the result to who takes what nobody waits for."""
        result, self.result = self.result, None
        if result is not None and self._unwanted is not None:
            _call(self._unwanted, (result,))

    def tell(self) -> None:
        """On the event loop: what came of it. The answer may be cancelled."""
        if self.answer.done():
            return
        if self.error is None:
            self.answer.set_result(self.result)
        else:
            self.answer.set_exception(self.error)


class Threads:
    """Threads of one's own, so that file work waits for nobody else's.

    A way to a thread and back takes a third of what it takes by :func:`asyncio.to_thread`, and a fifth when
    several are under way: nothing of ``concurrent.futures`` is needed, which can wait in threads as well.

    Args:
        count: of threads, started when the first one is needed.
        name: what they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._untold: set[_Work] = set()
        self._is_told = asyncio.Event()
        self._closed = False

    async def run(
        self, function: Callable[..., T], *arguments: Any, unwanted: Callable[[Any], object] | None = None
    ) -> T:
        """Call a function in a thread.

        Args:
            function: what to call.
            arguments: its arguments.
            unwanted: takes a result that is not ``None``, in a thread, if the one who waits is cancelled.

        Raises:
            ServerBusy: the threads were ended, or there are none to be had.
            Exception: whatever the function raises.
        """
        work = _Work(function, arguments, unwanted)
        self._put(lambda: self._do(work))
        self._untold.add(work)
        try:
            return cast("T", await work.answer)
        except asyncio.CancelledError:
            if work.take():
                self._told(work)
            elif work.answer.cancelled():
                work.is_abandoned = True
            else:  # it came with the cancellation
                self.later(work.hand_over)
            raise

    def later(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in a thread soon; :meth:`close` waits for it."""
        try:
            self._put(lambda: _call(function, arguments))
        except ServerBusy:
            function(*arguments)

    async def close(self) -> None:
        """Finish what was begun, and end the threads."""
        while self._untold:
            self._is_told.clear()
            await self._is_told.wait()
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _put(self, call: Callable[[], object]) -> None:
        if self._closed:
            raise closed()
        if not self._threads:
            self._start()
        self._queue.put(call)

    def _start(self) -> None:
        for number in range(self._count):
            # A disk that hangs is not to keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"{self._name}_{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more
                if not self._threads:
                    raise closed() from None
                return
            self._threads.append(thread)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            call()
            del call  # or its result would live until the next one

    def _do(self, work: _Work) -> None:
        if work.take():
            work.do()
            try:
                work.loop.call_soon_threadsafe(self._told, work)
            except RuntimeError:  # the event loop is closed
                work.hand_over()

    def _told(self, work: _Work) -> None:
        self._untold.discard(work)
        work.tell()
        if work.answer.cancelled() and work.result is not None:
            self.later(work.hand_over)  # it was cancelled when the work had just ended
        if not self._untold:
            self._is_told.set()


def closed() -> ServerBusy:
    """What those get who ask while the server ends."""
    return ServerBusy("The server is about to end.", log="a cache was used after it was closed")


def _call(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    try:
        function(*arguments)
    except Exception:
        logger.exception("clearing up after a source failed")

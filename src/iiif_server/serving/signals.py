"""What signals ask of the server, and the promise that it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

END_SECONDS: Final = 18.0
"""How long ending may take altogether; service managers kill after 20 to 90 seconds."""


class Signals:
    """The operator's signals to the main process.

    SIGTERM and SIGINT end the server once its requests are answered; a second one ends it at once. SIGHUP
    reloads the configuration.

    Args:
        at_once: called with the number of the second signal to end; does not return.

    Attributes:
        end: set when the server is to end.
        reload: set when it is to reload; whoever does that clears it.
    """

    def __init__(self, at_once: Callable[[int], object]) -> None:
        self.end = asyncio.Event()
        self.reload = asyncio.Event()
        self._at_once = at_once
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _end(self, number: int) -> None:
        if self.end.is_set():
            self._at_once(number)
        self.end.set()


def exit_at_once(number: int) -> None:
    """End this process as the signal would have; its workers end with it."""
    os._exit(128 + number)


def end_within(seconds: float) -> None:
    """End this process with code 1 if it is still there then: a thread may hang in a dead file system.

    Python waits for every thread at the end, which no timeout on the event loop reaches.
    """

    def give_up() -> None:
        logger.error("what was under way is given up: the server did not end within %g s", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()

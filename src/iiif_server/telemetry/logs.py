"""Where log lines go: through a bounded queue to a thread that writes them, so that no loop is blocked."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import ClassVar, Final

from iiif_server.telemetry.lines import FORMATTERS, LogFormat

STANDARD_ERROR: Final = 2
CAPACITY: Final = 4096
"""Lines that may wait to be written; what comes on top is counted and dropped."""

LOGGER: Final = "iiif_server"
"""The logger that all of this server's are below, those of its profiles as well."""

ACCESS_LOGGER: Final = "iiif_server.access"

_CLOSE_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 0.2
_BATCH_BYTES: Final = 1 << 16


class LogOutput(logging.Handler):
    """Writes records to a file descriptor by a thread of its own.

    The standard library's ``QueueListener`` makes a system call for each line, and at its end waits for ever
    for a pipe that nobody reads. This one joins what waits, and gives up.

    Args:
        log_format: what lines look like.
        descriptor: where they go.
        capacity: how many may wait.

    Attributes:
        log_format: what lines look like now.
    """

    log_format: LogFormat
    _counting: ClassVar[threading.Lock] = threading.Lock()
    _dropped: ClassVar[int] = 0

    @classmethod
    def dropped(cls) -> int:
        """How many lines this process has dropped."""
        return cls._dropped

    def __init__(
        self, log_format: LogFormat, *, descriptor: int = STANDARD_ERROR, capacity: int = CAPACITY
    ) -> None:
        super().__init__()
        self.use(log_format)
        self._descriptor = descriptor
        self._capacity = capacity
        self._unsaid = 0
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._writer.start()

    def use(self, log_format: LogFormat) -> None:
        """Have lines look like this from now on."""
        self.log_format = log_format
        self.setFormatter(FORMATTERS[log_format]())

    def emit(self, record: logging.LogRecord) -> None:
        """Put the finished line into the queue, or count it as dropped."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a mistake in a message must not become one of the server
            line = f"a log line of {record.name}:{record.lineno} could not be made: {type(error).__name__}"
        if self._closing.is_set() or self._lines.qsize() >= self._capacity:
            self._drop(1)
        else:
            self._lines.put(line)

    def close(self) -> None:
        """Write what waits, for a moment at most."""
        if not self._closing.is_set():
            self._closing.set()
            self._lines.put(None)
            self._writer.join(_CLOSE_SECONDS)
        super().close()

    def _drop(self, count: int) -> None:
        with LogOutput._counting:
            LogOutput._dropped += count
            self._unsaid += count

    def _write_all(self) -> None:
        ended = False
        while not ended:
            lines, ended = self._take()
            unsaid = self._unsaid
            told = [*lines, self._confession(unsaid)] if unsaid else lines
            if told and not self._write("".join(f"{line}\n" for line in told)):
                self._drop(len(lines))
            else:
                with LogOutput._counting:
                    self._unsaid -= unsaid

    def _take(self) -> tuple[list[str], bool]:
        """What waits, at least one line, up to a batch; and whether that was the end."""
        lines, size = [], 0
        line = self._lines.get()
        while line is not None:
            lines.append(line)
            size += len(line)
            if size >= _BATCH_BYTES:
                return lines, False
            try:
                line = self._lines.get_nowait()
            except Empty:
                return lines, False
        return lines, True

    def _confession(self, count: int) -> str:
        text = f"{count} log lines were dropped: nobody took them fast enough"
        record = logging.LogRecord(LOGGER, logging.WARNING, __file__, 0, text, None, None)
        return self.format(record)

    def _write(self, text: str) -> bool:
        """Write all of it; tells whether that worked. A full disk or a reader that is gone costs lines."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # somebody else made this terminal or pipe non-blocking
                if self._closing.is_set():
                    return False
                select.select([], [self._descriptor], [], _WAIT_SECONDS)
            except OSError:
                return False
        return True


_outputs: set[LogOutput] = set()


@contextmanager
def log_output(
    logger: str = "", log_format: LogFormat = "human", *, descriptor: int = STANDARD_ERROR
) -> Iterator[LogOutput]:
    """Have everything that comes to a logger written, for as long as the block lasts.

    Args:
        logger: all of them by default, for a process that is ours. In somebody else's process only ours:
            then nothing is passed on to the handlers that the owner has set up, so that no line comes twice.
        log_format: what lines look like, until :func:`use_log_format` changes it.
        descriptor: where lines go.
    """
    target = logging.getLogger(logger or None)
    output = LogOutput(log_format, descriptor=descriptor)
    propagates = target.propagate
    _outputs.add(output)
    target.addHandler(output)
    target.propagate = False
    try:
        yield output
    finally:
        target.propagate = propagates
        target.removeHandler(output)
        _outputs.discard(output)
        output.close()


def use_log_format(log_format: LogFormat) -> None:
    """Change what the lines of this process look like, as a configuration wants it that was just read."""
    for output in _outputs:
        output.use(log_format)


def log_format_in_use() -> LogFormat:
    """What the lines of this process look like."""
    return next((output.log_format for output in _outputs), "human")


def log_accesses(wanted: bool) -> None:
    """Switch the access log on or off, whatever the level of the server's other messages."""
    logging.getLogger(ACCESS_LOGGER).setLevel(logging.INFO if wanted else logging.CRITICAL + 1)

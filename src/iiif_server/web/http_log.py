"""What aiohttp itself has to say of connections and requests, before or after any handler of ours."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

from iiif_server.telemetry.lines import printable, shortened


class _Noise(logging.Filter):
    """Says in one line that a request was no HTTP, and nothing of clients that leave.

    Both happen all the time on the open internet. aiohttp logs them as errors with a traceback, as it should
    anything else.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; changes records of what is no HTTP."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ConnectionError):
            return False
        if isinstance(error, HttpProcessingError):
            why = shortened(printable(" ".join(error.message.split())), 200)
            client = record.args[0] if isinstance(record.args, tuple) and record.args else "?"
            record.msg, record.args = "a request from %s is not HTTP: %s", (client, why)
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            return http_logger.isEnabledFor(logging.INFO)
        return True


http_logger = logging.getLogger("iiif_server.http")
"""Takes the place of ``aiohttp.server``, so that its lines look alike under every process manager."""

http_logger.addFilter(_Noise())

"""How what went wrong with a request is told in the log, whoever answers it."""

from __future__ import annotations

import logging

from iiif_server.errors import IIIFServerError
from iiif_server.telemetry.lines import printable, shortened

logger = logging.getLogger(__name__)


def failure_line(method: str, target: str, error: IIIFServerError) -> str:
    """One bounded line about a request that has failed.

    Args:
        method: of the request.
        target: as it may be shown; see :func:`iiif_server.web.queries.shown_target`.
        error: that it is answered with.
    """
    return f"{method} {target}: {error.status} {printable(shortened(error.log, 500))}"


def log_failure(method: str, target: str, error: IIIFServerError) -> None:
    """Log it: as an error if it is one of the server, and not of the request."""
    level = logging.ERROR if error.status >= 500 else logging.INFO
    logger.log(level, "%s", failure_line(method, target, error))

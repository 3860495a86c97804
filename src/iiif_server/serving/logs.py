"""Where server processes log to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from iiif_server.telemetry.logs import log_output

NOTHING_TO_RELOAD: Final = "a directory is served without a configuration: there is nothing to reload"

logger = logging.getLogger(__name__)


@contextmanager
def logging_to_standard_error() -> Iterator[None]:
    """Have this process's log lines written, in every process of the server alike."""
    logging.getLogger().setLevel(logging.INFO)
    with log_output():
        yield


def log_refusal(problems: Sequence[str]) -> None:
    """Log why another configuration was not taken."""
    for problem in problems:
        logger.error("%s", problem)
    logger.error("the configuration was not reloaded; the server goes on with the one it has")

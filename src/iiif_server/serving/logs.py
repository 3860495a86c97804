"""Where server processes log to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

NOTHING_TO_RELOAD: Final = "a directory is served without a configuration: there is nothing to reload"

logger = logging.getLogger(__name__)


def configure_logging() -> None:
    """Log to standard error, in every process alike."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)


def log_refusal(problems: Sequence[str]) -> None:
    """Log why another configuration was not taken."""
    for problem in problems:
        logger.error("%s", problem)
    logger.error("the configuration was not reloaded; the server goes on with the one it has")

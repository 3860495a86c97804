"""Where the processes of one server count together; without the library that does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def multiprocess_environment(directory: Path) -> dict[str, str]:
    """The environment variables of a process that counts together with others.

    Args:
        directory: the same one for all of them; nothing else is in it.
    """
    return {VARIABLE: os.fspath(directory)}


def multiprocess_directory() -> Path | None:
    """Where this process and the others count; ``None`` if it counts alone."""
    directory = os.environ.get(VARIABLE)
    return Path(directory) if directory else None

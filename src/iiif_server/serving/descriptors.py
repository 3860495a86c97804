"""How many files this process may have open: a connection is one, and what is sent over it may be another."""

from __future__ import annotations

import logging
import sys
from typing import Final

logger = logging.getLogger(__name__)

_OTHERS: Final = 256
"""Of the workers, the caches, stored tiles, the log."""


def make_room(connections: int) -> int:
    """Raise the soft limit on open files as far as so many connections need it, and as the hard one allows.

    Returns:
        how many connections there is room for, ``connections`` at most.
    """
    if sys.platform == "win32":
        return connections
    import resource

    wanted = 2 * connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):  # the system allows less than it says
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = max(1, (soft - _OTHERS) // 2)
    logger.warning(
        "%d open files are allowed, so that there is room for %d connections and not for %d"
        " (max_connections); raise the limit (LimitNOFILE, ulimit -n)",
        *(soft, room, connections),
    )
    return room

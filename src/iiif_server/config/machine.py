"""What the machine, or the container, has for the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from iiif_server.config.model import LIGHT_WORK, Config


def memory_budget(config: Config, processes: int = 1) -> int:
    """Bytes that image work may take: as configured, or half of what there is. Reads files.

    The other half is for the server itself with its caches, for idle workers, for what an estimate falls
    short of, and for whatever else runs on the machine.

    Args:
        config: of one process.
        processes: how many share the machine's memory.
    """
    if config.image_memory_budget is not None:
        return config.image_memory_budget
    return max(config.image_pool_size * LIGHT_WORK, usable_memory() // 2 // processes)


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: the machine's, or less by the limits of its control groups.

    Args:
        root: of the file system where the kernel tells about itself.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """Those of this process's control groups and of all groups above (cgroups(7)); none where there are none.

    Version 1 writes a number near 2**63 for no limit, version 2 a word.
    """
    mounted = root / "sys/fs/cgroup"
    for directory, name in _groups(root, mounted):
        # In a container, the path may be the host's, and what is to be seen of it the mounted group alone.
        for group in (directory, *directory.parents):
            if group.is_relative_to(mounted):
                with suppress(OSError, ValueError):
                    yield int((group / name).read_text())


def _groups(root: Path, mounted: Path) -> Iterator[tuple[Path, str]]:
    """The directory of each control group that may limit memory, and the file with its limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield mounted / path.lstrip("/"), "memory.max"
        elif "memory" in controllers.split(","):
            yield mounted / "memory" / path.lstrip("/"), "memory.limit_in_bytes"

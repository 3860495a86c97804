"""Disk caches that are closed, and file systems that are full or read-only."""

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from iiif_server.caches.disk import DiskCache

DiskMaker = Callable[..., DiskCache]
Mount = Callable[[str], None]


@pytest.fixture
async def make_disk(tmp_path: Path) -> AsyncIterator[DiskMaker]:
    """Make caches in one directory, each closed at the end."""
    async with AsyncExitStack() as stack:

        def make(
            max_bytes: int = 64 << 20, *, directory: Path = tmp_path / "cache", **options: Any
        ) -> DiskCache:
            cache = DiskCache(directory, max_bytes, **options)
            stack.push_async_callback(cache.close)
            return cache

        yield make


@pytest.fixture
async def disk(make_disk: DiskMaker) -> DiskCache:
    return make_disk()


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A mounted file system of 1 MiB, and what remounts it with other options."""
    volume = tmp_path / "volume"
    volume.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(volume)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root on a system that allows it can mount a small file system")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(volume)], check=True)

    yield volume, remount
    subprocess.run(["umount", "--lazy", str(volume)], check=True)

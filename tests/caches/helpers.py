"""Keys, bodies and a look at the files, for the tests of the caches."""

import hashlib
import os
from pathlib import Path

from iiif_server.caches.derivative import Derivative, FileSlice
from iiif_server.caches.disk import DiskCache
from iiif_server.caches.tiers import DerivativeCache


def key_of(name: object) -> str:
    """A key as the server makes them: 64 evenly spread digits."""
    return hashlib.blake2b(str(name).encode(), digest_size=32).hexdigest()


def body_of(derivative: Derivative | None) -> bytes | None:
    """The bytes of a derivative, closing it."""
    if derivative is None:
        return None
    with derivative:
        body = derivative.body.read() if isinstance(derivative.body, FileSlice) else derivative.body
    assert len(body) == derivative.length
    return body


async def stored(disk: DiskCache, key: str) -> Derivative | None:
    """What a cache has under a key, which the caller closes. A miss counts, as for whoever makes it then."""
    if (found := await disk.find(key)) is not None:
        return found
    claimed = await disk.claim(key)
    if claimed is True:
        disk.release(key)
    return claimed if isinstance(claimed, Derivative) else None


async def cached(cache: DerivativeCache, key: str) -> Derivative | None:
    """The same of a cache in tiers."""
    if (known := cache.peek(key) or await cache.find(key)) is not None:
        return known
    async with cache.making(key) as found:
        return found


def entry_path(directory: Path, key: str) -> Path:
    """Where an entry is stored."""
    return directory / key[:2] / f"{key}.iiif"


def entries(directory: Path) -> list[Path]:
    """Every entry file."""
    return sorted(directory.glob("??/*.iiif"))


def temporaries(directory: Path) -> list[Path]:
    """Every temporary file."""
    return sorted(directory.glob("??/.*.tmp"))


def bytes_below(directory: Path) -> int:
    """The size of all files, whole or not; files deleted meanwhile count nothing."""
    total = 0
    for leaf in directory.glob("??"):
        with os.scandir(leaf) as items:
            for item in items:
                try:
                    total += item.stat().st_size
                except FileNotFoundError:
                    continue
    return total

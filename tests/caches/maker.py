"""``python -m tests.caches.maker``: wants ten derivatives, and notes those that it makes: directory, log."""

import asyncio
import os
import sys
from pathlib import Path

from iiif_server.caches.disk import DiskCache
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.tiers import DerivativeCache
from tests.caches.helpers import body_of, key_of


async def want(cache: DerivativeCache, key: str, log: Path) -> None:
    async with cache.making(key) as found:
        if body_of(found) is None:
            await asyncio.sleep(0.2)  # the work
            with log.open("a") as file:
                file.write(f"{key}\n")
            await cache.put(key, os.urandom(5000))


async def main(directory: str, log: str) -> None:
    cache = DerivativeCache(MemoryCache(0), DiskCache(Path(directory), 64 << 20, processes=4))
    await asyncio.gather(*(want(cache, key_of(number), Path(log)) for number in range(10)))
    await cache.close()


asyncio.run(main(*sys.argv[1:]))

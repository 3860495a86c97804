"""A process of its own that fills a cache: directory, budget, seed, bytes of a body, writes (0: for ever)."""

import asyncio
import hashlib
import itertools
import sys
from pathlib import Path

from iiif_server.caches.disk import DiskCache


async def main(directory: str, max_bytes: str, seed: str, size: str, writes: str) -> None:
    cache = DiskCache(Path(directory), int(max_bytes))
    for number in range(int(writes)) if int(writes) else itertools.count():
        digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=32)
        await cache.put(digest.hexdigest(), digest.digest() * (int(size) // 32))
        if number == 0:
            print("writing", flush=True)
    await cache.close()


asyncio.run(main(*sys.argv[1:]))

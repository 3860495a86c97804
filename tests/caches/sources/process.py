"""A process of its own that uses a store: directory, overflow, budget, what to do, and its arguments."""

import asyncio
import hashlib
import itertools
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from iiif_server.api import Fetched, SourceStore, SourceWriter, StoredSource


def body(key: str, size: int) -> bytes:
    """What the origin has under a key."""
    return hashlib.blake2b(key.encode(), digest_size=20).digest() * (size // 20)


async def fill(store: SourceStore, seed: str, size: str, count: str) -> None:
    """Fetch many keys, one after the other; for ever if the count is 0."""

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        data = body(key, int(size))
        for start in range(0, len(data), 100_000):
            await writer.write(data[start : start + 100_000])
        return Fetched(version="1", notes={"seed": seed})

    for number in range(int(count)) if int(count) else itertools.count():
        key = f"{seed} {number}"
        async with store.lease(key, fetch, max_age=None) as stored:
            assert stored.size == len(body(key, int(size)))
        if number == 0:
            print("ready", flush=True)


async def hold(store: SourceStore, key: str, size: str) -> None:
    """Lease a key until standard input ends."""

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.write(body(key, int(size)))
        return Fetched(version="1")

    async with store.lease(key, fetch, max_age=None) as stored:
        print(stored.path, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def hang(store: SourceStore, key: str, size: str) -> None:
    """Begin to fetch a key, and never end."""

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        await writer.expect(2 * int(size))
        await writer.write(body(key, int(size)))
        await writer.flush()
        print("ready", flush=True)
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    async with store.lease(key, fetch, max_age=None):
        pass


async def same(store: SourceStore, key: str, size: str, log: str) -> None:
    """Fetch the key that others fetch too, leaving a line for each real fetch."""

    async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched:
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {previous is not None}\n")
        await asyncio.sleep(0.3)
        await writer.write(body(key, int(size)))
        return Fetched(version="1")

    print("ready", flush=True)
    sys.stdin.readline()
    async with store.lease(key, fetch, max_age=0) as stored:
        assert stored.path.read_bytes() == body(key, int(size))


WORK: dict[str, Callable[..., Awaitable[None]]] = {"fill": fill, "hold": hold, "hang": hang, "same": same}


async def main(directory: str, overflow: str, max_bytes: str, what: str, *arguments: str) -> None:
    store = SourceStore(Path(directory), int(max_bytes), overflow=Path(overflow))
    try:
        await WORK[what](store, *arguments)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

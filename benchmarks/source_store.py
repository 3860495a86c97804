"""Figures of the store of fetched sources: ``python benchmarks/source_store.py [entries]``.

Hits and fetches a second with one task and with eight, and what a directory with very many entries costs: at
the start, for a lease, when it is swept, and when something has to be evicted.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from iiif_server.api import Fetched, SourceStore, SourceWriter, StoredSource
from iiif_server.caches.owned import LEAVES, MARKER
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.records import SourceRecord, encode, key_digest
from iiif_server.caches.sources.room import Room

BODY = os.urandom(20_000)
SMALL = 100
ROUNDS = 3


async def fetch(writer: SourceWriter, _: StoredSource | None) -> Fetched:
    await writer.write(BODY)
    return Fetched(version="1")


@asynccontextmanager
async def opened(directory: Path, max_bytes: int = 8 << 30) -> AsyncIterator[SourceStore]:
    store = SourceStore(directory, max_bytes)
    try:
        yield store
    finally:
        await store.close()


async def rate(store: SourceStore, tasks: int, count: int, key: str) -> float:
    """Leases a second; ``key`` may hold the place of a number."""

    async def work(task: int) -> None:
        for number in range(count // tasks):
            async with store.lease(key.format(f"{task} {number}"), fetch, max_age=None):
                pass

    start = time.perf_counter()
    await asyncio.gather(*(work(task) for task in range(tasks)))
    return count / (time.perf_counter() - start)


async def rates(directory: Path) -> None:
    async with opened(directory) as store:
        for tasks in (1, 8):
            hits = [await rate(store, tasks, 4000, "one") for _ in range(ROUNDS)]
            fetches = [await rate(store, tasks, 800, f"{tasks} {turn} {{}}") for turn in range(ROUNDS)]
            print(f"{tasks} tasks: {max(hits):.0f} hits/s, {max(fetches):.0f} fetches of 20 kB/s")
        large = 64 << 20
        start = time.perf_counter()
        async with store.lease("large", fetch_of(large), max_age=None):
            print(f"64 MiB in chunks of 64 KiB: {large / (time.perf_counter() - start) / 1e6:.0f} MB/s")


def fetch_of(size: int):
    async def fetch(writer: SourceWriter, _: StoredSource | None) -> Fetched:
        chunk = bytes(1 << 16)
        await writer.expect(size)
        for _ in range(size // len(chunk)):
            await writer.write(chunk)
        return Fetched(version="1")

    return fetch


def fill(directory: Path, count: int) -> None:
    """Make entries as the store would, without its care."""
    for leaf in LEAVES:
        (directory / leaf).mkdir(parents=True)
    (directory / MARKER).touch()
    for number in range(count):
        key = f"entry {number}"
        digest, serial = key_digest(key), secrets.token_hex(8)
        record = SourceRecord(key=key, size=SMALL, version="1", checked=time.time())
        leaf = directory / digest[:2]
        (leaf / f"{digest}.{serial}.source").write_bytes(bytes(SMALL))
        (leaf / f"{digest}.json").write_bytes(encode(record, serial))


async def many(directory: Path, count: int) -> None:
    fill(directory, count)
    taken = count * 2 * 4096
    start = time.perf_counter()
    async with opened(directory, 2 * taken) as store:
        async with store.lease("entry 0", fetch, max_age=None):
            first = time.perf_counter() - start
        print(f"{count} entries: the first lease {first * 1e3:.1f} ms after the start")
        hits = [await rate(store, 1, 2000, "entry 0") for _ in range(ROUNDS)]
        print(f"{count} entries: {max(hits):.0f} hits/s in the first seconds, while the sweep runs")
        while store.statistics()["entries"] < count:
            await asyncio.sleep(0.01)
        print(f"{count} entries: swept and counted after {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        print(f"{count} entries: {sum([1 async for _ in store.stored_keys()])} keys listed", end=" ")
        print(f"in {time.perf_counter() - start:.2f} s")
        fetches = await rate(store, 1, 200, "more {}")
        print(f"{count} entries: {fetches:.0f} fetches/s")
    room = Room(SourceDirectory(directory), taken, None)
    fd = os.open(directory / "00" / f".{'0' * 40}.part", os.O_RDWR | os.O_CREAT)
    start = time.perf_counter()
    assert room.reserve("00", fd, 1 << 20)
    print(f"{count} entries: {room.evicted} evicted at once in {time.perf_counter() - start:.2f} s")
    os.close(fd)


def main() -> None:
    root = Path(tempfile.mkdtemp())
    try:
        asyncio.run(rates(root / "rates"))
        asyncio.run(many(root / "many", int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
    finally:
        shutil.rmtree(root)


main()

"""An origin to fetch from, and a look at a store's files, for the tests of the store."""

import asyncio
import fcntl
import os
from collections import Counter
from pathlib import Path

from iiif_server.api import Fetched, NotModified, SourceWriter, StoredSource
from iiif_server.caches.budget import on_disk
from iiif_server.caches.owned import MARKER
from iiif_server.caches.sources.ledger import LEDGER


class OriginDown(Exception):
    """The origin does not answer."""


class Origin:
    """Keeps the current bytes of each key, counts who asks, and answers when the gate is open."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.fetches: Counter[str] = Counter()
        self.cancelled = 0
        self.previous: list[StoredSource | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_down = False
        self.chunk = 1 << 16

    def fetch(self, key: str):
        """What a profile would hand to the store for this key."""

        async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched | NotModified:
            self.fetches[key] += 1
            self.previous.append(previous)
            body = self.bodies[key]
            try:
                for start in range(0, len(body), self.chunk):
                    await writer.write(body[start : start + self.chunk])
                    if start == 0:
                        await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            if self.is_down:
                raise OriginDown(key)
            return Fetched(version=f"v{len(body)}")

        return fetch


def whole_files(directory: Path) -> list[Path]:
    """Every source."""
    return sorted(directory.glob("??/*.source"))


def records(directory: Path) -> list[Path]:
    """Every description."""
    return sorted(directory.glob("??/*.json"))


def leftovers(directory: Path) -> list[Path]:
    """What is neither: parts, drafts, temporary files."""
    found = [*directory.glob("??/*"), *directory.glob("*")]
    known = {*whole_files(directory), *records(directory), directory / MARKER, directory / LEDGER}
    return sorted(path for path in found if path.is_file() and path not in known)


def bytes_on_disk(directory: Path) -> int:
    """The blocks of all files in the leaves, whole or not; files deleted meanwhile count nothing."""
    sizes: dict[int, int] = {}  # a file that is renamed meanwhile is met twice
    for leaf in directory.glob("??"):
        try:
            with os.scandir(leaf) as items:
                for item in items:
                    try:
                        status = item.stat()
                    except FileNotFoundError:
                        continue
                    sizes[status.st_ino] = on_disk(status.st_size)
        except FileNotFoundError:
            continue
    return sum(sizes.values())


def is_locked(path: Path) -> bool:
    """Tell whether somebody has a file locked."""
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def until(condition, seconds: float = 20.0) -> None:
    """Wait for what happens soon, in a thread or another process."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)

"""Several processes share a directory, and any of them may die at any moment."""

import asyncio
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iiif_server.caches.directory import STALE_SECONDS
from tests.caches.conftest import DiskMaker
from tests.caches.helpers import body_of, bytes_below, entries, key_of, stored, temporaries

MIB = 1 << 20
SCRIPT = Path(__file__).with_name("writer.py")

StartWriter = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_writer(tmp_path: Path) -> Iterator[StartWriter]:
    """Start a process that fills the cache, and wait until it is at it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*, max_bytes: int, seed: str, size: int, writes: int) -> subprocess.Popen[bytes]:
        arguments: list[Any] = [tmp_path / "cache", max_bytes, seed, size, writes]
        command = [sys.executable, str(SCRIPT), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def test_two_writers_stay_within_the_budget(start_writer: StartWriter, tmp_path: Path) -> None:
    budget = 8 * MIB
    writers = [
        start_writer(max_bytes=budget, seed=f"writer {number}", size=20_000, writes=1000)
        for number in range(2)
    ]
    highest = 0
    while any(writer.poll() is None for writer in writers):
        highest = max(highest, bytes_below(tmp_path / "cache"))
        await asyncio.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0, 0]
    settled = bytes_below(tmp_path / "cache")
    print(f"highest {highest / budget:.3f}, settled at {settled / budget:.3f} of the budget")
    assert highest <= 1.25 * budget
    assert 0.7 * budget < settled <= 1.1 * budget
    assert temporaries(tmp_path / "cache") == []


async def test_a_writer_killed_at_any_moment_leaves_whole_entries_only(
    start_writer: StartWriter, make_disk: DiskMaker, tmp_path: Path
) -> None:
    directory = tmp_path / "cache"
    size = 2 * MIB
    chance = random.Random(7)
    for number in range(5):
        writer = start_writer(max_bytes=64 * MIB, seed=f"killed {number}", size=size, writes=0)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(chance.random() / 20)
        writer.kill()
        writer.wait()
    disk = make_disk(64 * MIB)
    assert entries(directory)
    for path in entries(directory):
        body = body_of(await stored(disk, path.stem))
        assert body == bytes.fromhex(path.stem) * (size // 32)
    assert disk.statistics()["damaged"] == 0
    # What the killed ones left half done goes once it is old enough to be nobody's, at the next look.
    (directory / "00").mkdir(exist_ok=True)
    (directory / "00" / f".{'0' * 40}.{'0' * 16}.tmp").write_bytes(b"half")
    for path in temporaries(directory):
        os.utime(path, times=(time.time() - STALE_SECONDS - 60,) * 2)
    await disk.put(key_of("next"), b"body")
    assert temporaries(directory) == []
    assert bytes_below(directory) <= 64 * MIB


async def test_readers_see_whole_bodies_while_others_write_the_same_keys(
    start_writer: StartWriter, make_disk: DiskMaker
) -> None:
    writers = [start_writer(max_bytes=64 * MIB, seed="same", size=200_000, writes=150) for _ in range(2)]
    disk = make_disk(small_bytes=100_000)
    hits = 0
    while any(writer.poll() is None for writer in writers):
        for number in range(0, 150, 5):
            digest = hashlib.blake2b(f"same {number}".encode(), digest_size=32)
            body = body_of(await stored(disk, digest.hexdigest()))
            assert body in (None, digest.digest() * 6_250)
            hits += body is not None
    assert hits
    assert disk.statistics()["damaged"] == 0

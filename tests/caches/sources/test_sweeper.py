"""The background work begins with the first use, survives a directory that fails, and ends."""

import asyncio
import os
from pathlib import Path

from iiif_server.caches.sources.overflow import Overflow
from iiif_server.caches.sources.sweeper import Sweeper
from iiif_server.caches.threads import Threads
from tests.caches.sources.helpers import until
from tests.caches.sources.test_room import Files


async def test_it_sweeps_again_and_again_even_after_a_failure(directory: Path, overflow: Path) -> None:
    threads = Threads(1, "test")
    files = Files(directory, 1 << 20)
    complaints: list[Exception] = []
    sweeper = Sweeper(files.room, Overflow(overflow), threads, complaints.append, 0.01)
    directory.mkdir(parents=True)
    (directory / "original.tif").touch()
    sweeper.start()
    sweeper.start()
    assert len([task for task in asyncio.all_tasks() if task.get_name() == "source store sweep"]) == 1
    await until(lambda: len(complaints) > 2)
    (directory / "original.tif").unlink()
    fd, path = await threads.run(Overflow(overflow).create)
    os.close(fd)
    await until(lambda: not path.exists() and (directory / "ledger").exists())
    await sweeper.close()
    count = len(complaints)
    await asyncio.sleep(0.03)
    assert len(complaints) == count
    await threads.close()


async def test_what_never_began_is_closed_at_once(directory: Path) -> None:
    threads = Threads(1, "test")
    await Sweeper(Files(directory, 1).room, Overflow(None), threads, lambda _: None, 1).close()
    await threads.close()

"""One process makes a derivative while the others wait for it, and no lock costs anybody an answer."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from iiif_server.caches.directory import claim_name
from tests.caches.conftest import DiskMaker, Mount
from tests.caches.helpers import key_of
from tests.support.paths import REPOSITORY

KEY = key_of("image")

OWNER = """
import sys, time
from iiif_server.caches.locks import create_locked
assert create_locked(sys.argv[1]) is not None
print("mine", flush=True)
time.sleep(60)
"""


def claims(directory: Path) -> list[Path]:
    return sorted(directory.glob("??/.*.claim"))


async def test_alone_there_is_nothing_to_claim(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk()
    await disk.start()
    assert await disk.claim(KEY) is None
    assert claims(tmp_path / "cache") == []


async def test_one_at_a_time(make_disk: DiskMaker, tmp_path: Path) -> None:
    first, second = make_disk(), make_disk()
    await first.start()
    await second.start()
    assert await first.get(KEY) is None  # which notices that it is not alone any more
    claim = await first.claim(KEY)
    assert claim is not None
    other = await second.claim(key_of("another"))
    assert other is not None  # another derivative is another matter
    waiting = asyncio.create_task(second.claim(KEY))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    first.release(KEY, claim)
    second.release(key_of("another"), other)
    theirs = await waiting
    assert theirs is not None
    second.release(KEY, theirs)
    await first.close()
    await second.close()
    assert claims(tmp_path / "cache") == []


async def test_nobody_waits_for_ever(make_disk: DiskMaker) -> None:
    slow, quick = make_disk(processes=2), make_disk(processes=2, claim_seconds=0.05)
    claim = await slow.claim(KEY)
    assert claim is not None
    assert await quick.claim(KEY) is None
    slow.release(KEY, claim)


async def test_who_leaves_while_waiting_keeps_nothing(make_disk: DiskMaker) -> None:
    disk = make_disk(processes=2)
    claim = await disk.claim(KEY)
    assert claim is not None
    waiting = asyncio.create_task(disk.claim(KEY))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.release(KEY, claim)
    again = await disk.claim(KEY)
    assert again is not None
    disk.release(KEY, again)


async def test_the_claim_of_a_killed_process_is_free_at_once(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(processes=2)
    await disk.put(KEY, b"body")  # its leaf is there
    name = tmp_path / "cache" / KEY[:2] / claim_name(KEY)
    with subprocess.Popen([sys.executable, "-c", OWNER, str(name)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"mine\n"
        waiting = asyncio.create_task(disk.claim(KEY))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        owner.kill()
        claim = await waiting
    assert claim is not None
    disk.release(KEY, claim)


async def test_what_the_dead_claimed_is_cleared_away(make_disk: DiskMaker, tmp_path: Path) -> None:
    first, second = make_disk(), make_disk(processes=2)
    await first.put(KEY, b"body")
    dead = tmp_path / "cache" / KEY[:2] / claim_name(key_of("dead"))
    dead.touch()
    claim = await second.claim(KEY)
    assert claim is not None
    await second.put(KEY, b"body")  # its first write looks at every leaf
    assert claims(tmp_path / "cache") == [tmp_path / "cache" / KEY[:2] / claim_name(KEY)]
    second.release(KEY, claim)


async def test_what_cannot_be_locked_is_made_without(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(processes=2)
    await disk.start()
    (tmp_path / "cache" / KEY[:2]).write_text("not a directory")
    assert await disk.claim(KEY) is None
    assert disk.statistics()["failures"] == 1


async def test_a_read_only_disk_has_no_claims(small_volume: tuple[Path, Mount], make_disk: DiskMaker) -> None:
    volume, remount = small_volume
    disk = make_disk(directory=volume / "cache", processes=2)
    await disk.put(KEY, b"body")
    remount("ro")
    assert await disk.claim(KEY) is None
    remount("rw")
    claim = await disk.claim(KEY)
    assert claim is not None
    disk.release(KEY, claim)


async def test_a_closed_cache_has_no_claims(make_disk: DiskMaker) -> None:
    disk = make_disk(processes=2)
    await disk.close()
    assert await disk.claim(KEY) is None


async def test_processes_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.caches.maker", str(tmp_path / "cache"), str(log)]
    makers = [await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY) for _ in range(4)]
    assert [await maker.wait() for maker in makers] == [0] * 4
    assert sorted(log.read_text().split()) == sorted(key_of(number) for number in range(10))

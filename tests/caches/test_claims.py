"""One process makes a derivative while the others wait for it, and no lock costs anybody an answer."""

import asyncio
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iiif_server.caches import claims
from iiif_server.caches.derivative import Derivative
from iiif_server.caches.directory import CLAIMS
from tests.caches.conftest import DiskMaker, Mount
from tests.caches.helpers import body_of, key_of
from tests.support.paths import REPOSITORY

KEY = key_of("image")

OWNER = """
import sys, time
from pathlib import Path
from iiif_server.caches.claims import Claims
from iiif_server.caches.directory import CacheDirectory
claims = Claims(CacheDirectory(Path(sys.argv[1])))
assert claims.take(sys.argv[2])
print("mine", flush=True)
time.sleep(60)
"""


async def test_alone_there_is_nothing_to_claim(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk()
    await disk.start()
    assert await disk.find(KEY) is None
    assert await disk.claim(KEY) is False
    assert not (tmp_path / "cache" / CLAIMS).exists()


async def test_one_at_a_time(make_disk: DiskMaker) -> None:
    first, second = make_disk(), make_disk()
    await first.start()
    await second.start()
    assert await first.find(KEY) is None  # and notices that it is not alone any more
    assert await first.claim(KEY) is True
    assert await second.claim(key_of("another")) is True  # another derivative is another matter
    waiting = asyncio.create_task(second.claim(KEY))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    first.release(KEY)
    assert await waiting is True


async def test_who_waited_gets_what_was_made_meanwhile(make_disk: DiskMaker) -> None:
    first, second, third = (make_disk(processes=3) for _ in range(3))
    assert await first.claim(KEY) is True
    waiting = [asyncio.create_task(other.claim(KEY)) for other in (second, third)]
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in waiting)
    await first.put(KEY, b"body")  # gives the right up as well
    for found in await asyncio.gather(*waiting):
        assert isinstance(found, Derivative)
        assert body_of(found) == b"body"


async def test_neighbours_are_different_matters(make_disk: DiskMaker) -> None:
    first, second = (make_disk(processes=2) for _ in range(2))
    for digit in "0f":
        assert await first.claim(digit * 64) is True
    assert await second.claim("0" * 14 + "1" + "0" * 49) is True
    assert await second.claim("f" * 14 + "e" + "f" * 49) is True


async def test_nobody_waits_for_ever(make_disk: DiskMaker) -> None:
    slow, quick = make_disk(processes=2), make_disk(processes=2, claim_seconds=0.05)
    assert await slow.claim(KEY) is True
    assert await quick.claim(KEY) is False


async def test_who_leaves_while_waiting_keeps_nothing(make_disk: DiskMaker) -> None:
    disk, other = make_disk(processes=2), make_disk(processes=2)
    assert await disk.claim(KEY) is True
    waiting = asyncio.create_task(other.claim(KEY))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.release(KEY)
    assert await disk.claim(KEY) is True


async def test_who_leaves_at_the_last_moment_keeps_nothing(
    make_disk: DiskMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving, staying = make_disk(processes=2), make_disk(processes=2)
    taken, go_on = threading.Event(), threading.Event()
    take = leaving._claims.take

    def slow(key: str) -> bool:
        result = take(key)
        taken.set()
        go_on.wait(10)
        return result

    monkeypatch.setattr(leaving._claims, "take", slow)
    claiming = asyncio.create_task(leaving.claim(KEY))
    await asyncio.to_thread(taken.wait, 10)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    go_on.set()
    assert await staying.claim(KEY) is True


async def test_the_claim_of_a_killed_process_is_free_at_once(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(processes=2)
    arguments = [sys.executable, "-c", OWNER, str(tmp_path / "cache"), KEY]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"mine\n"
        waiting = asyncio.create_task(disk.claim(KEY))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        owner.kill()
        assert await waiting is True


async def test_claims_take_no_room_and_leave_nothing(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(processes=2)
    for number in range(20):
        assert await disk.claim(key_of(number)) is True
    assert (tmp_path / "cache" / CLAIMS).stat().st_size == 0
    assert list((tmp_path / "cache").glob("??/*")) == []


async def test_claims_of_earlier_versions_are_cleared_away(make_disk: DiskMaker, tmp_path: Path) -> None:
    first, second = make_disk(), make_disk()
    await first.put(KEY, b"body")
    former = tmp_path / "cache" / KEY[:2] / f".{key_of('dead')}.claim"
    former.touch()
    await second.put(KEY, b"body")  # its first write looks at every leaf
    assert not former.exists()


async def test_a_directory_that_was_deleted_has_claims_again(
    make_disk: DiskMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_LOOK_SECONDS", 0)
    first, second = make_disk(processes=2), make_disk(processes=2)
    assert await first.claim(KEY) is True
    shutil.rmtree(tmp_path / "cache")
    assert await second.claim(KEY) is True
    waiting = asyncio.create_task(first.claim(KEY))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await second.put(KEY, b"body")
    found = await waiting
    assert isinstance(found, Derivative)
    assert body_of(found) == b"body"


async def test_what_can_not_be_locked_is_made_without(make_disk: DiskMaker, tmp_path: Path) -> None:
    disk = make_disk(processes=2)
    await disk.start()
    (tmp_path / "cache" / CLAIMS).mkdir()
    assert await disk.claim(KEY) is False
    assert disk.statistics()["failures"] == 1


async def test_a_read_only_disk_has_no_claims(small_volume: tuple[Path, Mount], make_disk: DiskMaker) -> None:
    volume, remount = small_volume
    disk = make_disk(directory=volume / "cache", processes=2)
    await disk.put(key_of("other"), b"body")
    remount("ro")
    assert await disk.claim(KEY) is False
    remount("rw")
    assert await disk.claim(KEY) is True
    disk.release(KEY)
    await disk.close()


async def test_a_closed_cache_has_no_claims(make_disk: DiskMaker) -> None:
    disk = make_disk(processes=2)
    await disk.close()
    assert await disk.claim(KEY) is False


async def test_processes_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.caches.maker", str(tmp_path / "cache"), str(log)]
    makers = [await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY) for _ in range(4)]
    assert [await maker.wait() for maker in makers] == [0] * 4
    assert sorted(log.read_text().split()) == sorted(key_of(number) for number in range(10))

"""A cache that is full, read-only, deleted, torn or somebody else's costs speed, never an answer."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.caches.helpers import entries, temporaries
from tests.chaos import full_disk
from tests.chaos.raw import RawClient
from tests.chaos.site import Site
from tests.support.load import Load
from tests.support.server import ServerFactory, ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]


@pytest.fixture
def uncached(site: Site) -> Site:
    """A site whose server has nothing in memory, so that the disk is asked each time."""
    site.configure(memory_cache_size="0", image_pool_size="1")
    return site


def serves(client: RawClient, numbers: range) -> list[bytes]:
    """Ask for one image in some widths, and look whether each is what was asked for."""
    bodies = []
    for width in numbers:
        answer = client.get(f"/one.jpg/full/{width},/0/default.png")
        assert answer.status == 200
        with Image.open(BytesIO(answer.body)) as image:
            image.load()
            assert image.width == width
        bodies.append(answer.body)
    return bodies


def complaints(server: ServerProcess) -> list[str]:
    """Lines about the disk cache."""
    return [line for line in server.output().splitlines() if "Derivative cache" in line]


def kept(site: Site, count: int) -> list[Path]:
    """The entries of the disk cache, once there are so many: they are written behind the clients' backs."""
    derivatives = site.cache / "derivatives"
    wait_for(lambda: len(entries(derivatives)) >= count and not temporaries(derivatives))
    assert len(entries(derivatives)) == count
    return sorted(entries(derivatives))


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds, or for ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def small_disk(uncached: Site) -> Iterator[Site]:
    """A site whose cache is on a file system of 1 MiB."""
    uncached.cache.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(uncached.cache)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root on a system that allows it can mount a small file system")
    yield uncached
    subprocess.run(["umount", "--lazy", str(uncached.cache)], check=True)


def test_a_disk_that_is_full_and_read_only(server: ServerFactory, small_disk: Site) -> None:
    """Every image is served, what fits is kept, nothing is left half written, and there is one warning."""
    serving = small_disk.start(server)
    derivatives = small_disk.cache / "derivatives"
    with RawClient(serving.port) as client:
        first = serves(client, range(250, 270))
        assert sum(map(len, first)) > 1 << 20
        wait_for(lambda: bool(complaints(serving)) and not temporaries(derivatives))
        assert entries(derivatives)
        assert len(complaints(serving)) == 1
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk.cache)], check=True)
        assert serves(client, range(250, 270)) == first
        serves(client, range(300, 305))


def test_a_disk_that_refuses_and_then_recovers(server: ServerFactory, uncached: Site, tmp_path: Path) -> None:
    """The same where nothing can be mounted: what is written fails for a while, in one way and another."""
    (tmp_path / "fault").mkdir()
    (tmp_path / "fault" / "sitecustomize.py").write_text(full_disk.SOURCE)
    flag = uncached.cache / "fault"
    uncached.cache.mkdir()
    serving = uncached.start(server, env={"PYTHONPATH": str(tmp_path / "fault"), "DISK_FAULT": str(flag)})
    with RawClient(serving.port) as client:
        for start, error in ((100, "ENOSPC"), (110, "EROFS"), (120, "EIO")):
            before = serves(client, range(start, start + 3))
            already = len(kept(uncached, start - 100 + 3))
            flag.write_text(error)
            refused = serves(client, range(start + 3, start + 10))
            assert serves(client, range(start, start + 10)) == before + refused
            wait_for(lambda: bool(complaints(serving)))
            assert len(kept(uncached, already)) == already
            assert b"iiif_disk_cache_failing 1.0" in client.get("/metrics").body
            flag.unlink()
            assert serves(client, range(start + 3, start + 10)) == refused
            kept(uncached, start - 100 + 10)
    assert len(complaints(serving)) == 1  # one a minute
    assert "ENOSPC" in complaints(serving)[0]


async def test_a_cache_that_is_deleted_under_load(server: ServerFactory, uncached: Site) -> None:
    """No request fails, and it comes back."""
    serving = uncached.start(server)
    load = Load([serving.image_url("two.png", "").rstrip("/")], side=200, around=280)
    async with load.running():
        for _ in range(8):
            await load.answered(10)
            await asyncio.to_thread(shutil.rmtree, uncached.cache / "derivatives", ignore_errors=True)
        await load.answered(20)

    assert load.failures == {}
    wait_for(lambda: bool(entries(uncached.cache / "derivatives")))
    assert "Traceback" not in serving.output()


def test_torn_and_foreign_entries(server: ServerFactory, uncached: Site) -> None:
    """What is empty, cut, overwritten, swapped, a link or a folder is made anew."""
    serving = uncached.start(server)
    configuration = (uncached.root / "config.yaml").read_text()
    with RawClient(serving.port) as client:
        before = serves(client, range(100, 107))
        found = kept(uncached, 7)
        empty, cut, zeros, flipped, swapped, link, folder = found
        empty.write_bytes(b"")
        cut.write_bytes(cut.read_bytes()[:-100])
        zeros.write_bytes(zeros.read_bytes()[:51] + bytes(zeros.stat().st_size - 51))
        content = bytearray(flipped.read_bytes())
        content[-1] ^= 1
        flipped.write_bytes(content)
        shutil.copyfile(found[0], swapped)
        link.unlink()
        link.symlink_to(uncached.root / "config.yaml")
        folder.unlink()
        folder.mkdir()
        assert serves(client, range(100, 107)) == before
        assert serves(client, range(100, 107)) == before
    assert "Traceback" not in serving.output()
    assert (uncached.root / "config.yaml").read_text() == configuration


def test_a_directory_of_somebody_else(server: ServerFactory, uncached: Site) -> None:
    """It is neither filled nor cleared, and every image is served."""
    foreign = uncached.cache / "derivatives" / "thesis.doc"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("for years")
    serving = uncached.start(server)
    with RawClient(serving.port) as client:
        serves(client, range(100, 105))

    assert [path.name for path in foreign.parent.iterdir()] == ["thesis.doc"]
    assert "not used as a cache" in serving.output()

"""Several server processes write to one cache: its budget holds, whatever happens to them."""

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest
from PIL import Image

from iiif_server.caches.roster import ROSTER
from tests.caches.helpers import bytes_below, entries
from tests.support.load import Load
from tests.support.server import ServerFactory, ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BUDGET = 2 << 20
CONFIG = f"""\
cache_path: cache
default_profile: files
memory_cache_size: 0
disk_cache_size: {BUDGET}
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: pictures
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    Image.effect_noise((1100, 1100), 90).save(tmp_path / "pictures" / "noise.png")
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "config.yaml"


def load_on(server: ServerProcess) -> Load:
    """Ever other tiles of some 20 kB, each of which is written to the disk."""
    return Load([server.image_url("noise.png", "").rstrip("/")])


async def test_the_budget_holds_and_survives_being_killed(server: ServerFactory, config: Path) -> None:
    """Under load from two processes, when all of them are killed, and after the next start."""
    cache = config.parent / "cache" / "derivatives"
    first = server.serve("--config", str(config), "--processes", "2")
    load = load_on(first)
    highest = 0
    async with load.running():
        for _ in range(10):
            await load.answered(30)
            highest = max(highest, bytes_below(cache))
        assert load.failures == {}
        assert len(list((cache / ROSTER).iterdir())) == 2
        for process in first.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(first.wait)
    killed = bytes_below(cache)
    second = server.serve("--config", str(config), "--processes", "2")
    async with (again := load_on(second)).running():
        await again.answered(30)
    assert second.terminate() == 0
    settled = bytes_below(cache)

    shares = [round(found / BUDGET, 3) for found in (highest, killed, settled)]
    print(f"highest, when killed, after the next start: {shares} of the budget")
    sizes = [path.stat().st_size for path in entries(cache)]
    assert load.outcomes["200"] * sum(sizes) / len(sizes) > 1.3 * BUDGET  # so much had to go
    assert highest <= 1.15 * BUDGET  # what two processes write unseen by each other
    assert 0.5 * BUDGET < settled <= 1.15 * BUDGET
    assert again.failures == {}
    assert list((cache / ROSTER).iterdir()) == []  # of the killed ones, too

"""A real server builds a pyramid while it is asked for tiles, whatever happens to its workers."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.pyramids.index import tiles_of
from tests.imaging.helpers import picture
from tests.support.server import ServerFactory, eventually

pytestmark = pytest.mark.e2e

SIZE = Dimensions(2600, 1900)
CONFIG = """
source_path: source
cache_path: cache
default_profile: images
memory_cache_size: 0
disk_cache_size: 0
pyramids: {policy}
pyramid_min_pixels: 1000000
profiles:
  images: {{type: disk, rights: x, path: images}}
"""


async def all_tiles(url: str) -> dict[str, tuple[bytes, str]]:
    """Body and ETag of every tile, as a viewer asks for them."""
    paths = [
        f"{','.join(map(str, region))}/{','.join(map(str, level_size(region.size, factor)))}/0/default.jpg"
        for factor in (1, 2, 4)
        for region in tiles_of(SIZE, factor)
    ]
    limit = asyncio.Semaphore(8)

    async with aiohttp.ClientSession() as client:

        async def get(path: str) -> tuple[bytes, str]:
            async with limit, client.get(f"{url}/a.jpg/{path}") as answer:
                assert answer.status == 200, await answer.text()
                return await answer.read(), answer.headers["ETag"]

        return dict(zip(paths, await asyncio.gather(*map(get, paths)), strict=True))


async def test_the_tiles_are_the_same_before_while_and_after(server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture(*SIZE).save(tmp_path / "images" / "a.jpg", quality=90)
    config = tmp_path / "config.yaml"

    async def served(policy: str, rounds: int) -> list[dict[str, tuple[bytes, str]]]:
        config.write_text(CONFIG.format(policy=policy))
        running = await asyncio.to_thread(server.serve, "--config", str(config))
        found = []
        for number in range(rounds):
            asking = asyncio.create_task(all_tiles(running.url))
            if not number and policy == "on_demand":
                # The first pyramid loses its worker: the pool tries it again, and nobody notices.
                await eventually(
                    lambda: bool(list(tmp_path.glob("cache/pyramids/??/.*.part"))), 30, "a build"
                )
                for worker in running.workers():
                    worker.kill()
            found.append(await asking)
            if policy == "on_demand":
                await eventually(
                    lambda: bool(list(tmp_path.glob("cache/pyramids/??/*.json"))), 60, "a pyramid"
                )
        assert await asyncio.to_thread(running.terminate) == 0
        return found

    (without,) = await served("never", 1)
    during, after = await served("on_demand", 2)
    (ahead,) = await served("ahead", 1)

    assert during == without
    assert after == without
    assert ahead == without
    assert len(list(tmp_path.glob("cache/pyramids/??/*.source"))) == 1
    assert not list(tmp_path.glob("cache/pyramids/??/.*"))


async def test_a_server_that_ends_leaves_nothing_half_built(server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture(*SIZE).save(tmp_path / "images" / "a.png")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(policy="on_demand"))
    running = await asyncio.to_thread(server.serve, "--config", str(config))

    async with aiohttp.ClientSession() as client:

        async def get(path: str) -> None:
            async with client.get(f"{running.url}/a.png/{path}/512,512/0/default.jpg") as answer:
                await answer.read()

        asking = [asyncio.create_task(get(f"{x},0,512,512")) for x in (0, 512, 1024)]
        began = time.monotonic()
        while not list(tmp_path.glob("cache/pyramids/??/.*.part")):
            assert time.monotonic() < began + 30
            await asyncio.sleep(0.005)
        assert await asyncio.to_thread(running.terminate) == 0
        await asyncio.gather(*asking, return_exceptions=True)
    assert not list(tmp_path.glob("cache/pyramids/??/.*"))

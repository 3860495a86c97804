"""info.json of every real image, from a real server, beside another reader."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tifffile

from tests.matrix.asking import Seen, seen
from tests.matrix.collection import SUBJECTS
from tests.support.paths import SHARED_IMAGES
from tests.support.server import ServerFactory, ServerProcess

pytestmark = pytest.mark.e2e

PAGES = {"tiff-bw-9pages.tif": 9, "tiff-g3-multipage.tif": 2, "tiff-painting.tif": 1, "validator.jp2": 1}


@pytest.fixture(scope="module")
def serving(module_server: ServerFactory, shared_images: Path) -> ServerProcess:
    """A server of the whole collection."""
    return module_server.directory(shared_images)


@pytest.fixture(scope="module")
def others(shared_images: Path) -> dict[str, Seen]:
    """What the other readers tell."""
    return {subject.name: seen(subject) for subject in SUBJECTS}


@pytest.mark.parametrize("version", [2, 3])
async def test_info_is_right(serving: ServerProcess, others: dict[str, Seen], version: int) -> None:
    """Size, smaller sizes, tiles and colour."""
    wrong = []
    async with aiohttp.ClientSession(raise_for_status=True) as client:
        for name, other in others.items():
            url = serving.image_url(name, prefix=f"/iiif/{version}")
            async with client.get(url) as response:
                info = await response.json(content_type=None)
            told = summary(info, version)
            right = told == expected(other, url.removesuffix("/info.json"), stored_tile(SHARED_IMAGES / name))
            if not right or other.coloured not in {None, has_colour(info, version)}:
                wrong.append((name, told))
    assert wrong == []


def summary(info: dict[str, Any], version: int) -> dict[str, Any]:
    """What both versions tell, each in its own words."""
    return {
        "id": info["id" if version == 3 else "@id"],
        "size": (info["width"], info["height"]),
        "sizes": [(size["width"], size["height"]) for size in info["sizes"]],
        "tiles": [(grid["width"], grid.get("height"), grid["scaleFactors"]) for grid in info["tiles"]],
    }


def has_colour(info: dict[str, Any], version: int) -> bool:
    """Whether more than gray is offered."""
    return "color" in (info["extraQualities"] if version == 3 else info["profile"][1]["qualities"])


def stored_tile(path: Path) -> tuple[int, int]:
    """The tiles of a TIFF, several together if they are small; 512 pixels of what has none."""
    if path.suffix not in {".tif", ".tiff"}:
        return 512, 512
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        sides = (page.tilewidth, page.tilelength) if page.is_tiled else (512, 512)
    width, height = (side * ceil(192 / side) for side in sides)
    return width, height


def expected(other: Seen, url: str, tile: tuple[int, int]) -> dict[str, Any]:
    """Sides divided by powers of two and rounded up: sizes down to 200, tiles until one holds it all."""
    powers = [2**power for power in range(20)]
    levels = [(-(-other.width // power), -(-other.height // power)) for power in powers]
    last = next(i for i, level in enumerate(levels) if level[0] <= tile[0] and level[1] <= tile[1])
    return {
        "id": url,
        "size": (other.width, other.height),
        "sizes": [level for level in levels[::-1] if min(level) >= 200 or level == levels[0]],
        "tiles": [(*tile, powers[: last + 1])],
    }


async def test_pages_are_counted(serving: ServerProcess, shared_images: Path) -> None:
    """Each page has an info.json of its own, and there are no more than that; levels are no pages."""
    async with aiohttp.ClientSession() as client:
        for name, count in PAGES.items():
            for page in range(1, count + 2):
                async with client.get(serving.image_url(f"{name};page={page}")) as response:
                    assert response.status == (200 if page <= count else 404), f"{name}, page {page}"

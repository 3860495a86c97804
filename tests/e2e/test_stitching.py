"""Every tile of every level, put together, is the picture: no seam, no missing row, no shift."""

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.pictures import large_picture
from tests.support.server import ServerFactory, ServerProcess
from tests.support.tiles import Tile, level_size, viewer_tiles

pytestmark = pytest.mark.e2e

Pixels = npt.NDArray[np.int16]

SOURCES: dict[str, dict[str, Any]] = {
    "picture.jpg": {"quality": 90},
    "picture.png": {"compress_level": 1},
    "picture.tif": {"compression": "tiff_lzw"},
}
BOUNDS = {"png": 1.5, "jpg": 3.0}
"""Mean absolute difference from an independent Lanczos, in steps of 255; a JPEG tile adds its own loss."""

SIZE = (2401, 1803)
"""Levels of 1:1 to 1:8, each with odd tiles at its edges."""

SEAM_BOUND = 1.5
"""How much worse the pixels beside tile borders may be than the others, in steps of 255."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stitching")
    picture = large_picture(*SIZE)
    for name, options in SOURCES.items():
        picture.save(directory / name, **options)
    return directory


@pytest.fixture(scope="module")
def serving(module_server: ServerFactory, pictures: Path) -> ServerProcess:
    return module_server.directory(pictures)


@pytest.mark.parametrize("tile_format", BOUNDS)
@pytest.mark.parametrize("name", SOURCES)
async def test_levels_are_the_picture(
    serving: ServerProcess, pictures: Path, name: str, tile_format: str
) -> None:
    """Each tile has exactly its size, and each level differs little from a scaled source, at borders too."""
    url = serving.image_url(name, "").rstrip("/")
    source = await asyncio.to_thread(_decoded, pictures / name)
    async with aiohttp.ClientSession(raise_for_status=True) as client:
        async with client.get(f"{url}/info.json") as response:
            info = await response.json(content_type=None)
        factors = sorted(factor for grid in info["tiles"] for factor in grid["scaleFactors"])

        assert (info["width"], info["height"]) == source.size
        assert factors == [1, 2, 4, 8]

        for factor in factors:
            tiles = await _fetched(client, url, info, factor, tile_format)
            difference = await asyncio.to_thread(_compared, source, info, factor, tiles)
            borders = _beside_borders(info, factor, difference.shape)
            mean, seam = difference.mean(), difference[borders].mean() if borders.any() else 0.0
            print(f"{name} as {tile_format}, 1:{factor}: mean {mean:.2f}, beside borders {seam:.2f}")

            assert mean < BOUNDS[tile_format]
            assert seam < mean + SEAM_BOUND


async def _fetched(
    client: aiohttp.ClientSession, url: str, info: dict[str, Any], factor: int, tile_format: str
) -> dict[Tile, Pixels]:
    """Every tile of a level, each of exactly the size that the viewer expects."""
    limit = asyncio.Semaphore(4)

    async def fetch(tile: Tile) -> tuple[Tile, Pixels]:
        address = f"{url}/{tile.parameters}/0/default.{tile_format}"
        async with limit, client.get(address) as response:
            pixels = await asyncio.to_thread(_pixels, await response.read())

        assert pixels.shape == (tile.height, tile.width, 3), f"{tile}: {pixels.shape}"

        return tile, pixels

    return dict(await asyncio.gather(*(fetch(tile) for tile in viewer_tiles(info, factor))))


def _compared(
    source: Image.Image, info: dict[str, Any], factor: int, tiles: dict[Tile, Pixels]
) -> npt.NDArray[np.float64]:
    """How much each pixel of the stitched level differs; no pixel may be in no tile."""
    width, height = level_size(info, factor)
    level = np.full((height, width), np.nan)
    padded = _padded(source, factor)
    for tile, pixels in tiles.items():
        differences = [np.abs(pixels - expected).mean(axis=2) for expected in _expected(source, padded, tile)]
        best = min(differences, key=np.mean)
        level[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = best

    assert not np.isnan(level).any(), "a part of the level is in no tile"

    return level


def _expected(source: Image.Image, padded: Image.Image, tile: Tile) -> list[Pixels]:
    """A tile by Pillow's Lanczos, in the two ways to fill the pixel that is only partly in the image.

    At the right and bottom edge a level is up to a pixel larger than the image divided by the factor. That
    pixel may come from stretching the region, or from going on with the image's last row or column. The two
    are less than a pixel of the level apart.
    """
    size = (tile.width, tile.height)
    left, top = tile.left * tile.factor, tile.top * tile.factor
    right, bottom = left + tile.width * tile.factor, top + tile.height * tile.factor
    continued = padded.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    if right <= source.width and bottom <= source.height:
        return [np.asarray(continued, np.int16)]
    region = (left, top, min(right, source.width), min(bottom, source.height))
    stretched = source.resize(size, Image.Resampling.LANCZOS, box=region)
    return [np.asarray(picture, np.int16) for picture in (continued, stretched)]


def _padded(source: Image.Image, factor: int) -> Image.Image:
    """The source, its last row and column repeated until the factor divides its sides."""
    padding = ((0, -source.height % factor), (0, -source.width % factor), (0, 0))
    return Image.fromarray(np.pad(np.asarray(source), padding, mode="edge"))


def _pixels(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as tile:
        return np.asarray(tile.convert("RGB"), np.int16)


def _decoded(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


def _beside_borders(info: dict[str, Any], factor: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Mark the pixels on both sides of each border between tiles."""
    marked = np.zeros(shape, np.bool_)
    for tile in viewer_tiles(info, factor):
        if tile.left:
            marked[:, tile.left - 1 : tile.left + 1] = True
        if tile.top:
            marked[tile.top - 1 : tile.top + 1, :] = True
    return marked

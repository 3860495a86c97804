"""What pyramids cost and bring: building beside libvips, and a viewer's session with and without.

    python -m benchmarks.pyramids [--width W] [--height H] [--repeat N]

The source is drawn. A session asks for every tile of every level, eight at a time, of a server that has
never seen the image, and then once more. Prints ratios, which other work on the machine changes least: runs
alternate, and the best of N counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

import aiohttp
from tests.support.pictures import drawn_picture

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import TILE, level_size, scale_factors
from iiif_server.imaging.pyramids.index import tiles_of
from iiif_server.imaging.tasks import PyramidTask, RenderSettings, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from iiif_server.testing.processes import server_factory

CONCURRENCY = 8
CONFIG = """
source_path: {directory}/source
cache_path: {directory}/cache
default_profile: images
pyramids: {policy}
pyramid_min_pixels: 1
profiles:
  images: {{type: disk, rights: x, path: {images}}}
"""


def build_ours(source: Path, directory: Path) -> float:
    target = directory / "ours.tif"
    target.write_bytes(b"")
    workbench = Workbench(WorkbenchSettings())
    began = time.perf_counter()
    workbench.pyramid(
        PyramidTask(
            SourceFile(str(source), "1"), RenderSettings(), str(target), os.stat(target).st_ino, 1 << 40
        )
    )
    took = time.perf_counter() - began
    workbench.close()
    return took


def build_libvips(source: Path, directory: Path) -> float | None:
    """The same levels: the source is filled up to a multiple of the largest factor."""
    try:
        import pyvips
    except ImportError:
        return None
    began = time.perf_counter()
    image = pyvips.Image.new_from_file(str(source), access="sequential")
    step = scale_factors(Dimensions(image.width, image.height), TILE)[-1]
    width, height = (-(-side // step) * step for side in (image.width, image.height))
    image.embed(0, 0, width, height, extend="copy").tiffsave(
        str(directory / "libvips.tif"),
        tile=True,
        pyramid=True,
        compression="jpeg",
        Q=85,
        tile_width=TILE.width,
        tile_height=TILE.height,
        bigtiff=True,
    )
    return time.perf_counter() - began


def tile_paths(image: Dimensions) -> list[str]:
    paths = []
    for factor in scale_factors(image, TILE):
        for region in tiles_of(image, factor):
            size = level_size(region.size, factor)
            paths.append(f"{','.join(map(str, region))}/{size.width},{size.height}/0/default.jpg")
    random.Random(1).shuffle(paths)
    return paths


async def session(base: str, paths: list[str]) -> tuple[float, float]:
    """Seconds to the first tile and to the last."""
    queue = iter(paths)
    first = 0.0
    began = time.perf_counter()
    async with aiohttp.ClientSession() as client:

        async def view() -> None:
            nonlocal first
            for path in queue:
                async with client.get(f"{base}{path}") as response:
                    response.raise_for_status()
                    await response.read()
                first = first or time.perf_counter() - began

        await asyncio.gather(*(view() for _ in range(CONCURRENCY)))
    return first, time.perf_counter() - began


def sessions(policy: str, source: Path, image: Dimensions) -> list[tuple[float, float]]:
    """The first and the second session of a fresh server."""
    with tempfile.TemporaryDirectory() as name, server_factory(Path(name) / "server") as start:
        config = Path(name) / "config.yaml"
        config.write_text(CONFIG.format(directory=name, policy=policy, images=source.parent))
        server = start.serve("--config", str(config))
        base = f"{server.url.rstrip('/')}/{source.name}/"
        return [asyncio.run(session(base, tile_paths(image))) for _ in range(2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "images" / "picture.jpg"
        source.parent.mkdir()
        drawn_picture(arguments.width, arguments.height).save(source, quality=90)
        image = Dimensions(arguments.width, arguments.height)
        ours, theirs = [], []
        plain: list[list[tuple[float, float]]] = []
        stored: list[list[tuple[float, float]]] = []
        for _ in range(arguments.repeat):
            ours.append(build_ours(source, Path(name)))
            if (took := build_libvips(source, Path(name))) is not None:
                theirs.append(took)
            plain.append(sessions("never", source, image))
            stored.append(sessions("on_demand", source, image))
    if theirs:
        print(f"building: libvips takes {min(theirs) / min(ours):.2f} times as long")
    for number, which in enumerate(("first", "second")):
        for part, what in enumerate(("first tile", "all tiles")):
            before, after = (min(run[number][part] for run in runs) for runs in (plain, stored))
            print(f"{which} session, {what}: without pyramids {before / after:.2f} times as long")


if __name__ == "__main__":
    main()

"""The images: given ones, or such as are made once and kept."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from benchmarks.peers.drawing import Pixels, draw, halved
from PIL import Image
from tests.support.pictures import drawn_picture
from tqdm import tqdm

TILE = 256


@dataclass(frozen=True)
class Source:
    """An image.

    Attributes:
        name: in the tables and on the command line.
        file: its name.
        width: in pixels.
        height: in pixels.
        warming: a small image of the same kind, which is asked for first.
        text: what it is.
    """

    name: str
    file: str
    width: int
    height: int
    warming: str
    text: str


SOURCES = {
    source.name: source
    for source in (
        Source("J1", "J1.jpg", 6000, 4000, "WARM.jpg", "JPEG, quality 90, 4:2:0"),
        Source("J2", "J2.jpg", 12000, 9000, "WARM.jpg", "JPEG, quality 90, 4:2:0"),
        Source("T2", "T2.tif", 12000, 9000, "WARM.tif", "pyramidal TIFF, JPEG tiles of 256 px, quality 90"),
        Source("P1", "P1.png", 4000, 3000, "WARM.png", "PNG"),
        Source("JP2", "JP2.jp2", 12000, 9000, "WARM.jp2", "JPEG 2000, 12:1, tiles of 1024 px"),
        Source("GIGA", "GIGA.tif", 32768, 32768, "WARM.tif", "1 gigapixel, repeated; tiles as T2's"),
        Source("SMALL", "SMALL.tif", 6144, 4096, "WARM.tif", "25 megapixels of the same"),
    )
}
JPEG: dict[str, Any] = {"quality": 90, "subsampling": "4:2:0"}
TILES: dict[str, Any] = {"level": 90, "subsampling": "444"}
JPEG_2000: dict[str, Any] = {
    "irreversible": True,
    "quality_mode": "rates",
    "quality_layers": [12],
    "num_resolutions": 6,
    "tile_size": (1024, 1024),
    "progression": "RPCL",
}


def make_sources(directory: Path, given: Path | None, images: Path | None) -> None:
    """Have every source and every image to warm up with in the directory; what is there stays.

    Args:
        directory: that the servers are given.
        given: where ready ones lie, under the same names; they are linked or copied.
        images: the collection of test images, which the others are made of.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if given is not None:
        for source in SOURCES.values():
            if (given / source.file).exists():
                _put(directory / source.file, partial(_link, given / source.file))
    missing = [name for name in (*DRAWN, *MADE, *WARMING) if not (directory / name).exists()]
    drawn: list[Pixels] = []
    for name in tqdm(missing, desc="sources", unit="image", disable=None):
        if name in DRAWN and not drawn:
            drawn.append(draw(12000, 9000, images))
        if name in DRAWN:
            _put(directory / name, partial(DRAWN[name], drawn[0]))
        else:
            _put(directory / name, MADE[name] if name in MADE else WARMING[name])


def _put(path: Path, write: Callable[[Path], None]) -> None:
    """A file that is whole or absent."""
    half = path.with_name(f"half-{path.name}")
    half.unlink(missing_ok=True)
    write(half)
    half.replace(path)
    half.unlink(missing_ok=True)  # two links to one file stay two


def _link(at: Path, path: Path) -> None:
    try:
        os.link(at, path)
    except OSError:
        shutil.copyfile(at, path)


def _save(pixels: Pixels, path: Path, **options: Any) -> None:
    Image.fromarray(pixels).save(path, **options)


def write_pyramid(pixels: Pixels, path: Path) -> None:
    """A pyramid of JPEG tiles with colour at every pixel."""
    levels = [pixels]
    while max(levels[-1].shape[:2]) > TILE:
        levels.append(halved(levels[-1]))
    with tifffile.TiffWriter(path) as writer:
        for number, level in enumerate(levels):
            writer.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs=TILES,
                tile=(TILE, TILE),
                subfiletype=int(number > 0),
            )


def write_repeated(width: int, height: int, path: Path, side: int = 4096) -> None:
    """A pyramid of one picture of this side, repeated: tiles are encoded once, stored many times."""
    level = np.asarray(drawn_picture(side, side))
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number in itertools.count():
            w, h = -(-width >> number) or 1, -(-height >> number) or 1
            writer.write(
                iter(_repeated(level, w, h)),
                shape=(h, w, 3),
                dtype=np.uint8,
                photometric="rgb",
                compression="jpeg",
                compressionargs=TILES,
                tile=(TILE, TILE),
                subfiletype=int(number > 0),
            )
            if max(w, h) <= TILE:
                return
            level = halved(level)
            if level.shape[0] < TILE:
                level = np.tile(level, (2, 2, 1))


def _repeated(level: Pixels, width: int, height: int) -> Iterator[bytes]:
    across = level.shape[1] // TILE
    tiles = [
        imagecodecs.jpeg8_encode(np.ascontiguousarray(level[y : y + TILE, x : x + TILE]), **TILES)
        for y in range(0, level.shape[0], TILE)
        for x in range(0, level.shape[1], TILE)
    ]
    down = level.shape[0] // TILE
    for y in range(-(-height // TILE)):
        for x in range(-(-width // TILE)):
            yield tiles[y % down * across + x % across]


def _small() -> Pixels:
    return np.asarray(drawn_picture(1000, 800))


DRAWN: dict[str, Callable[[Pixels, Path], None]] = {
    "J1.jpg": lambda pixels, path: _save(pixels[1000:5000, 1000:7000], path, **JPEG),
    "J2.jpg": partial(_save, **JPEG),
    "T2.tif": write_pyramid,
    "P1.png": lambda pixels, path: _save(pixels[3000:6000, 5000:9000], path, compress_level=6),
    "JP2.jp2": partial(_save, **JPEG_2000),
}
MADE: dict[str, Callable[[Path], None]] = {
    source.file: partial(write_repeated, source.width, source.height)
    for source in (SOURCES["GIGA"], SOURCES["SMALL"])
}
WARMING: dict[str, Callable[[Path], None]] = {
    "WARM.jpg": lambda path: _save(_small(), path, **JPEG),
    "WARM.png": lambda path: _save(_small(), path),
    "WARM.tif": lambda path: write_pyramid(_small(), path),
    "WARM.jp2": lambda path: _save(_small(), path, **JPEG_2000),
}

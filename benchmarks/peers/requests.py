"""What is asked for: the same lists, in the same order, of every server."""

import math
import random
from dataclasses import dataclass

from benchmarks.peers.sources import TILE, Source


@dataclass(frozen=True)
class Request:
    """One image request.

    Attributes:
        path: what follows the identifier and its slash.
        width: of the right answer, in pixels; 0 if it is not an image.
        height: of the right answer.
    """

    path: str
    width: int = 0
    height: int = 0


def viewer_tiles(
    width: int, height: int, tile: int, most: int = 400, factors: tuple[int, ...] = (1, 2, 4, 8)
) -> list[Request]:
    """Tiles of an image at several scale factors, as viewers ask for them, in an order that jumps about.

    Where there are more than wanted, at most half of them are of the smaller levels.
    """
    shuffle = random.Random(f"{width} {height} {tile}").shuffle
    full, smaller = list[Request](), list[Request]()
    for factor in factors:
        step = tile * factor
        for y in range(0, height, step):
            for x in range(0, width, step):
                across, down = min(step, width - x), min(step, height - y)
                w, h = math.ceil(across / factor), math.ceil(down / factor)
                found = Request(f"{x},{y},{across},{down}/{w},{h}/0/default.jpg", w, h)
                (full if factor == 1 else smaller).append(found)
    shuffle(full)
    if len(full) + len(smaller) > most:
        shuffle(smaller)
        smaller = smaller[: max(most // 2, most - len(full))]
    chosen = smaller + full[: most - len(smaller)]
    shuffle(chosen)
    return chosen


def whole_tiles(width: int, height: int, tile: int, most: int) -> list[Request]:
    """Whole tiles at full scale, in an order that jumps about over the whole image."""
    found = [
        Request(f"{x},{y},{tile},{tile}/{tile},{tile}/0/default.jpg", tile, tile)
        for y in range(0, height - tile + 1, tile)
        for x in range(0, width - tile + 1, tile)
    ]
    random.Random(8).shuffle(found)
    return found[:most]


def mixed(width: int, height: int, count: int = 40) -> list[Request]:
    """Regions of any place and size within 300 pixels: plain, turned, gray and bitonal ones in turn."""
    rng = random.Random(f"mixed {width} {height}")
    found = []
    for number in range(count):
        across, down = rng.randrange(400, min(3000, width)), rng.randrange(400, min(3000, height))
        x, y = rng.randrange(width - across), rng.randrange(height - down)
        scale = 300 / max(across, down)
        w, h = round(across * scale), round(down * scale)
        turn, quality = ((0, "default"), (90, "default"), (0, "gray"), (0, "bitonal"))[number % 4]
        path = f"{x},{y},{across},{down}/!300,300/{turn}/{quality}.jpg"
        found.append(Request(path, *((h, w) if turn else (w, h))))
    return found


def offered_tiles(source: Source) -> list[Request]:
    """At most 400 tiles of 512 px, which is what servers offer of flat images."""
    return viewer_tiles(source.width, source.height, 512)


def some_tiles(source: Source) -> list[Request]:
    """The first of them."""
    return offered_tiles(source)[:40]


def stored_tiles(source: Source) -> list[Request]:
    """Tiles as they are stored in the pyramidal TIFFs."""
    return whole_tiles(source.width, source.height, TILE, 1500)

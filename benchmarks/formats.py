"""What each format costs: bytes, time and error, by the options that change them, as a Markdown table.

    python benchmarks/formats.py PHOTOGRAPH... [--repeat N]

Takes tiles of 512 pixels at full scale out of the middle of each photograph, and the whole scaled to 1500
pixels across; prints means over them. Times are the best of N.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.encode import encoded
from iiif_server.imaging.tasks import RenderSettings

TILE = 512
WIDTH = 1500
CASES: list[tuple[Format, dict[str, object]]] = [
    (Format.JPG, {"jpeg_quality": 75}),
    (Format.JPG, {}),
    (Format.JPG, {"jpeg_progressive": True}),
    (Format.JPG, {"jpeg_subsampling": 1}),
    (Format.JPG, {"jpeg_subsampling": 0}),
    (Format.JPG, {"jpeg_quality": 95}),
    (Format.WEBP, {"webp_quality": 60}),
    (Format.WEBP, {"webp_effort": 0}),
    (Format.WEBP, {}),
    (Format.WEBP, {"webp_effort": 4}),
    (Format.WEBP, {"webp_effort": 6}),
    (Format.WEBP, {"webp_quality": 90}),
    (Format.AVIF, {"avif_quality": 50}),
    (Format.AVIF, {}),
    (Format.AVIF, {"avif_effort": 1}),
    (Format.AVIF, {"avif_effort": 3}),
    (Format.AVIF, {"avif_effort": 4}),
    (Format.AVIF, {"avif_quality": 75}),
    (Format.JP2, {"jp2_quality": 50}),
    (Format.JP2, {}),
    (Format.JP2, {"jp2_quality": 80}),
    (Format.JP2, {"jp2_quality": 100}),
    (Format.PNG, {"png_compression": 1}),
    (Format.PNG, {}),
    (Format.PNG, {"png_compression": 6}),
    (Format.PNG, {"png_compression": 9}),
    (Format.TIF, {}),
    (Format.TIF, {"tif_compression": "lzw"}),
    (Format.TIF, {"tif_compression": "none"}),
    (Format.GIF, {}),
]


@dataclass(frozen=True)
class Cost:
    """Means over several images: kilobytes, milliseconds, and decibels of peak signal-to-noise ratio."""

    kilobytes: float
    milliseconds: float
    decibels: float

    def __str__(self) -> str:
        decibels = "exact" if math.isinf(self.decibels) else f"{self.decibels:.1f} dB"
        kilobytes = f"{self.kilobytes:.0f}" if self.kilobytes >= 100 else f"{self.kilobytes:.1f}"
        milliseconds = f"{self.milliseconds:.0f}" if self.milliseconds >= 10 else f"{self.milliseconds:.1f}"
        return f"{kilobytes} kB | {milliseconds} ms | {decibels}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", nargs="+", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    tiles, whole = [], []
    for path in arguments.photographs:
        image = Image.open(path).convert("RGB")
        whole.append(
            image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        )
        tiles += list(middle(image))
    print(f"| format | options | a tile of {TILE} px | | | {WIDTH} px across | | |\n{'|---' * 8}|")
    for target, options in CASES:
        named = ", ".join(f"`{key}: {shown(key, value)}`" for key, value in options.items()) or "the defaults"
        settings = RenderSettings(**options)  # type: ignore[arg-type]
        costs = [cost(images, target, settings, arguments.repeat) for images in (tiles, whole)]
        print(f"| `{target}` | {named} | {costs[0]} | {costs[1]} |", flush=True)


def middle(image: Image.Image) -> list[Image.Image]:
    """Three tiles in a row."""
    left, top = (image.width - 3 * TILE) // 2, (image.height - TILE) // 2
    return [image.crop((x, top, x + TILE, top + TILE)) for x in range(left, left + 3 * TILE, TILE)]


def cost(images: Sequence[Image.Image], target: Format, settings: RenderSettings, repeat: int) -> Cost:
    """The means over these images."""
    each = [measured(image, target, settings, repeat) for image in images]
    kilobytes, milliseconds, errors = (sum(column) / len(each) for column in zip(*each, strict=True))
    return Cost(kilobytes, milliseconds, 10 * math.log10(255**2 / errors) if errors else math.inf)


def measured(
    image: Image.Image, target: Format, settings: RenderSettings, repeat: int
) -> tuple[float, float, float]:
    """Kilobytes, the best time in milliseconds, and the mean square error."""
    best = math.inf
    for _ in range(repeat):
        started = time.perf_counter()
        data = encoded(image, Quality.DEFAULT, target, settings)
        best = min(best, time.perf_counter() - started)
    result = np.asarray(Image.open(BytesIO(data)).convert("RGB"), dtype=np.float64)
    error = np.mean((result - np.asarray(image, dtype=np.float64)) ** 2)
    return len(data) / 1000, best * 1000, float(error)


def shown(key: str, value: object) -> str:
    """As the configuration has it."""
    if key == "jpeg_subsampling":
        return {0: '"4:4:4"', 1: '"4:2:2"'}[int(str(value))]
    return str(value).lower()


if __name__ == "__main__":
    main()

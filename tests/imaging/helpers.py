"""Pictures made on the spot, and one call from a request's text to its pixels."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import Operation, resolve
from iiif_server.imaging.stopwatch import read_steps
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, SourceProperties
from iiif_server.imaging.workbench import Workbench

PIXELS_ONLY = RenderSettings(lossless=False)
EXIF_ORIENTATION = 0x0112

Pixels = NDArray[np.int64]


def picture(
    width: int, height: int, *, bands: int = 3, seed: int = 5, noise: float = 6, rings: float = 90
) -> Image.Image:
    """Gradients, rings and a little noise; the same every time, and alike under no symmetry."""
    return Image.fromarray(_drawn(width, height, bands, seed, noise, rings))


@lru_cache(maxsize=4)
def _drawn(width: int, height: int, bands: int, seed: int, noise: float, rings: float) -> NDArray[np.uint8]:
    """Drawn once for several tests; nobody can write into it."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    across, down = x / max(1, width - 1), y / max(1, height - 1)
    waves = np.sin(((across - 0.3) ** 2 + (down - 0.7) ** 2) * rings)
    grain = np.random.default_rng(seed).normal(0, noise, (height, width))
    channels = [30 + 180 * across + 20 * waves + grain, 40 + 170 * down, 120 + 90 * waves, 255 * across]
    pixels = np.clip(np.dstack(channels[:bands]), 0, 255).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels[:, :, 0] if bands == 1 else pixels)
    pixels.setflags(write=False)
    return pixels


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """The image as a JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def exif(orientation: int) -> bytes:
    """An EXIF block that says nothing but an orientation."""
    block = Image.Exif()
    block[EXIF_ORIENTATION] = orientation
    return block.tobytes()


def array(image: Image.Image | bytes) -> Pixels:
    """Pixels as integers that can be subtracted."""
    if isinstance(image, bytes):
        image = Image.open(io.BytesIO(image))
    return np.asarray(image).astype(np.int64)


def luma(data: bytes) -> Pixels:
    """The luma of a JPEG file as it is stored."""
    image = Image.open(io.BytesIO(data))
    if image.mode != "L":
        image.draft("L", None)
    return np.asarray(image.convert("L")).astype(np.int64)


def mean_error(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference in levels."""
    assert one.shape == other.shape
    return float(np.abs(one - other).mean())


class Bench:
    """A workbench that is asked in the words of a URL."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench

    def probe(self, path: Path) -> SourceProperties:
        return SourceProperties.from_json(self.workbench.probe(SourceFile(str(path), "1"))[0])

    def operation(self, path: Path, request: str) -> Operation:
        limits = Limits(max_width=10_000)
        return resolve(parse_image_parameters(*request.split("/")), self.probe(path).size, limits)

    def render(
        self, path: Path, request: str = "full/max/0/default.jpg", settings: RenderSettings | None = None
    ) -> tuple[str, bytes]:
        """The lane taken, and the file made, whose size is checked."""
        operation = self.operation(path, request)
        lane, data = self.render_any(path, request, settings)
        expected = operation.size.turned(int(operation.rotation.degrees))
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == expected
            assert image.format == ("JPEG" if operation.format == "jpg" else "PNG")
        return lane, data

    def render_any(
        self, path: Path, request: str, settings: RenderSettings | None = None
    ) -> tuple[str, bytes]:
        """The same, at any angle."""
        task = RenderTask(
            SourceFile(str(path), "1"), self.operation(path, request), settings or RenderSettings()
        )
        how, data = self.workbench.render(task)
        return how["lane"], data

    def steps(self, path: Path, request: str, settings: RenderSettings | None = None) -> dict[str, float]:
        """The seconds that each step took, as the server reads them."""
        operation = self.operation(path, request)
        how, _ = self.workbench.render(
            RenderTask(SourceFile(str(path), "1"), operation, settings or RenderSettings())
        )
        return read_steps(how)

    def pixels(
        self, path: Path, request: str = "full/max/0/default.png", settings: RenderSettings | None = None
    ) -> Pixels:
        """What the pixels lane makes of a request."""
        lane, data = self.render(path, request, settings)
        assert lane == "pixels"
        return array(data)

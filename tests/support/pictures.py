"""Pictures for tests: photographs where the shared collection is at hand, drawn ones otherwise."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.paths import SHARED_IMAGES

ORIENTATION_TAG = 0x0112


def large_picture(width: int = 4001, height: int = 3003) -> Image.Image:
    """A picture with smooth and fine parts whose sides are odd, so that every rounding shows."""
    photograph = SHARED_IMAGES / "photo-baseline-12mp.jpg"
    if not photograph.exists():
        return drawn_picture(width, height)
    with Image.open(photograph) as opened:
        return opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def drawn_picture(width: int, height: int) -> Image.Image:
    """Gradients, rings of every fineness and a little noise; the same bytes every time."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across, down = x / max(width - 1, 1), y / max(height - 1, 1)
    rings = np.sin(((across - 0.4) ** 2 + (down - 0.6) ** 2) * 300)
    noise = np.random.default_rng(7).normal(0, 4, (height, width)).astype(np.float32)
    channels = (40 + 170 * across + 25 * rings, 40 + 170 * down + 25 * rings, 120 + 25 * rings + noise)
    return Image.fromarray(np.clip(np.dstack(channels), 0, 255).astype(np.uint8), "RGB")


def save_turned(picture: Image.Image, path: Path, orientation: int) -> None:
    """Store a JPEG whose EXIF orientation tells viewers to turn it."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    picture.save(path, quality=90, exif=exif)

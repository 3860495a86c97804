"""Pictures with the statistics of photographs, the same every time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tests.support.pictures import drawn_picture

Pixels = NDArray[np.uint8]
PATCH = 500
"""Side of a piece of the mosaic, in pixels."""

PHOTOGRAPHS = ("photo-baseline-12mp.jpg", "photo-coffee.png", "tiff-painting.tif", "exif-landscape-1.jpg")
"""Of the collection of test images; those that are there are used."""


def draw(width: int, height: int, images: Path | None) -> Pixels:
    """A mosaic of photographs under noise of every fineness, with writing and lines; height x width x 3.

    Without photographs, pieces of a drawn picture take their place.
    """
    rng = np.random.default_rng(20240607)
    stock = _photographs(images) or [drawn_picture(2400, 1800)]
    canvas = Image.new("RGB", (width, height))
    for y in range(0, height, PATCH):
        for x in range(0, width, PATCH):
            canvas.paste(_patch(stock[int(rng.integers(len(stock)))], rng), (x, y))
    _write(canvas, rng)
    pixels = np.array(canvas)
    noise = _octaves(width, height, rng)
    for top in range(0, height, PATCH):
        strip = pixels[top : top + PATCH].astype(np.float32) + noise[top : top + PATCH, :, None]
        strip += rng.normal(0, 2, strip.shape).astype(np.float32)
        pixels[top : top + PATCH] = np.clip(strip, 0, 255).astype(np.uint8)
    return pixels


def halved(pixels: Pixels) -> Pixels:
    """The mean of each four pixels; sides round up, the last row or column being repeated."""
    odd = ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0))
    padded = np.pad(pixels, odd, mode="edge").astype(np.uint16)
    total = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def _photographs(images: Path | None) -> list[Image.Image]:
    found = []
    for name in PHOTOGRAPHS if images else ():
        assert images
        if (images / name).exists():
            with Image.open(images / name) as opened:
                found.append(opened.convert("RGB"))
    return found


def _patch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A piece of it, somewhat enlarged or reduced, perhaps mirrored or turned."""
    side = round(PATCH / float(rng.uniform(0.7, 1.8)))
    side = min(side, *picture.size)
    x, y = int(rng.integers(picture.width - side + 1)), int(rng.integers(picture.height - side + 1))
    piece = picture.resize(
        (PATCH, PATCH), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side), reducing_gap=None
    )
    turn = int(rng.integers(7))
    return piece.transpose(Image.Transpose(turn)) if turn < 5 else piece


def _write(canvas: Image.Image, rng: np.random.Generator) -> None:
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=28)
    for number in range(canvas.width * canvas.height // 120_000):
        x, y = int(rng.integers(canvas.width)), int(rng.integers(canvas.height))
        red, green, blue = (int(each) for each in rng.integers(0, 256, 3))
        if number % 3:
            draw.text((x, y), f"specimen {number:04d} of the herbarium", fill=(red, green, blue), font=font)
        else:
            end = (x + int(rng.integers(-900, 900)), y + int(rng.integers(-900, 900)))
            draw.line(((x, y), end), fill=(red, green, blue), width=int(rng.integers(1, 6)))


def _octaves(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise from coarse to fine, with less of the finer; made at a quarter of the size."""
    quarter = (-(-width // 4), -(-height // 4))
    total = np.zeros(quarter[::-1], np.float32)
    for across, amplitude in ((6, 14.0), (30, 9.0), (150, 5.0), (600, 3.0)):
        grid = rng.normal(0, 1, (max(2, across * 3 // 4), across)).astype(np.float32)
        total += amplitude * np.asarray(Image.fromarray(grid).resize(quarter, Image.Resampling.BICUBIC))
    return np.asarray(Image.fromarray(total).resize((width, height), Image.Resampling.BILINEAR))

"""Rotation by any angle (Image API 3.0 section 4.3): where things come to lie, and what is in the corners."""

import io
from math import ceil, cos, floor, radians, sin
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iiif_server.imaging.steps import tilted
from tests.imaging.helpers import Bench, array, picture

SIZE = (300, 200)
DOT = (60, 40)


def dotted() -> Image.Image:
    """Mid gray with a red dot left of and above the middle."""
    image = Image.new("RGB", SIZE, (128, 128, 128))
    image.paste((255, 0, 0), (DOT[0] - 4, DOT[1] - 4, DOT[0] + 4, DOT[1] + 4))
    return image


def turned_size(degrees: float) -> tuple[float, float]:
    """Width and height of the box around the turned image, by trigonometry."""
    across, down = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    return SIZE[0] * across + SIZE[1] * down, SIZE[0] * down + SIZE[1] * across


@pytest.mark.parametrize("degrees", ["22.5", "45", "89.99", "112.5", "200", "359.5", "0.25"])
@pytest.mark.parametrize("mirror", ["", "!"])
def test_clockwise_after_mirroring(tmp_path: Path, bench: Bench, degrees: str, mirror: str) -> None:
    """The dot is where geometry says, the box fits, and the corners are clear."""
    path = tmp_path / "dot.png"
    dotted().save(path)
    lane, data = bench.render_any(path, f"full/max/{mirror}{degrees}/default.png")
    result = Image.open(io.BytesIO(data))
    width, height = turned_size(float(degrees))
    assert lane == "pixels"
    assert result.mode == "RGBA"
    assert floor(width) <= result.width <= ceil(width) + 1
    assert floor(height) <= result.height <= ceil(height) + 1
    x, y = DOT[0] - SIZE[0] / 2, DOT[1] - SIZE[1] / 2
    x = -x if mirror else x
    angle = radians(float(degrees))
    expected = (x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle))
    pixels = array(result)
    rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60) & (pixels[..., 3] > 200))
    assert columns.mean() - (result.width - 1) / 2 == pytest.approx(expected[0], abs=1)
    assert rows.mean() - (result.height - 1) / 2 == pytest.approx(expected[1], abs=1)
    if degrees not in {"89.99", "0.25", "359.5"}:
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners[:, 3] == 0).all()


def test_a_format_without_alpha_shows_the_background(tmp_path: Path, bench: Bench) -> None:
    """In the corners, and nowhere else."""
    path = tmp_path / "dot.png"
    dotted().save(path)
    _, data = bench.render_any(path, "full/max/45/default.jpg")
    pixels = array(data)
    assert (pixels[[0, 0, -1, -1], [0, -1, 0, -1]] > 250).all()
    assert abs(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2] - 128).max() < 4


def test_edges_do_not_darken() -> None:
    """Pixels are blended with what is clear by their alpha, not with black."""
    result = array(tilted(Image.new("RGB", (50, 50), (200, 200, 200)), 30))
    assert (abs(result[result[..., 3] > 0][:, :3] - 200) <= 2).all()


def test_no_angle_changes_nothing() -> None:
    """Not even the mode."""
    image = picture(20, 10)
    assert tilted(image, 0) is image

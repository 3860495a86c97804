"""JPEG files of every sampling and colour space, made here, beside what libvips makes of them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import level_size
from tests.imaging.helpers import PIXELS_ONLY, Bench, picture
from tests.matrix.arithmetic import Pixels, difference, rounded
from tests.matrix.independent import by_libvips, by_libvips_shrunk, decoded, with_channels

SIZE = Dimensions(403, 301)
SAMPLINGS = ("444", "422", "420", "440", "411")
SPACES: dict[str, dict[str, Any]] = {
    "RGB": {"colorspace": "RGB", "outcolorspace": "RGB"},
    "CMYK": {"colorspace": "CMYK", "outcolorspace": "CMYK"},
    "YCCK": {"colorspace": "CMYK", "outcolorspace": "YCCK"},
}
KINDS: dict[str, dict[str, Any]] = {
    "gray": {},
    "progressive": {"progressive": True, "subsampling": 2},
    "progressive CMYK": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
}
MODES = {"CMYK": "CMYK", "YCCK": "CMYK", "progressive CMYK": "CMYK", "gray": "L"}
LOSS = {"444": 1.5, "RGB": 1.5, "gray": 1.5, "411": 3.5}
"""What encoding may cost, on average, in levels of 255."""


def drawn(name: str) -> Pixels:
    """What goes into a file, by row, column and channel."""
    bands = {"CMYK": 4, "L": 1}.get(MODES.get(name, "RGB"), 3)
    return with_channels(np.asarray(picture(*SIZE, bands=bands, noise=2)))


def write(folder: Path, name: str) -> Path:
    """Encode it as the name says."""
    path, pixels = folder / "a.jpg", drawn(name)
    if name in KINDS:
        out = BytesIO()
        image = Image.frombytes(MODES.get(name, "RGB"), SIZE, pixels.tobytes())
        image.save(out, "JPEG", quality=92, **KINDS[name])
        path.write_bytes(out.getvalue())
    else:
        if name in MODES:
            pixels = 255 - pixels  # Adobe's way, by which these are read
        options = SPACES.get(name, {"subsampling": name})
        path.write_bytes(imagecodecs.jpeg8_encode(pixels, level=92, **options))
    return path


NAMES = [*SAMPLINGS, *SPACES, *KINDS]


@pytest.mark.parametrize("name", NAMES)
def test_is_what_was_drawn(tmp_path: Path, bench: Bench, name: str) -> None:
    """Not inverted, with the right colours in the right places."""
    pixels = drawn(name)
    if name in MODES and pixels.shape[2] == 4:
        inks = pixels / 255
        pixels = rounded(255 * (1 - inks[..., :3]) * (1 - inks[..., 3:]))
    answer = with_channels(bench.pixels(write(tmp_path, name))).astype(np.uint8)
    assert answer.shape == pixels.shape
    assert difference(answer, pixels)[0] < LOSS.get(name, 2.5)


@pytest.mark.parametrize("name", NAMES)
def test_is_what_libvips_reads(tmp_path: Path, bench: Bench, name: str) -> None:
    """To the last bit: whole, a part of it turned, and the level that libjpeg gives and nothing resamples."""
    path = write(tmp_path, name)
    expected = by_libvips(path)

    def ask(request: str) -> Pixels:
        return decoded(bench.render(path, f"{request}/default.png", PIXELS_ONLY)[1])

    assert np.array_equal(ask("full/max/0"), expected)
    part = expected[17:137, 13:163, :]
    assert np.array_equal(ask("13,17,150,120/max/90"), np.rot90(part, -1))
    assert np.array_equal(ask("13,17,150,120/max/!270"), np.rot90(part[:, ::-1], -3))
    smaller = by_libvips_shrunk(path, 2)  # rounded down
    size = level_size(SIZE, 2)
    answer = ask(f"full/{size.width},{size.height}/0")
    assert np.array_equal(answer[: smaller.shape[0], : smaller.shape[1]], smaller)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_as_jpeg(tmp_path: Path, bench: Bench, name: str) -> None:
    """Where blocks can be cut out, nothing is lost but at the part's edges, where chroma is smoothed."""
    path = write(tmp_path, name)
    expected = by_libvips(path)[64:256, 96:352]
    lane, data = bench.render(path, "96,64,256,192/max/0/default.jpg")
    answer = decoded(data)
    if lane == "lossless":
        assert np.array_equal(answer[4:-4, 4:-4], expected[4:-4, 4:-4])
    assert difference(answer, expected)[0] < (0.1 if lane == "lossless" else 3)

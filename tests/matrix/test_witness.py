"""What FFmpeg makes of the files that only one library decodes here: see ``expected/README.md``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.imaging.helpers import Bench
from tests.matrix import independent
from tests.matrix.arithmetic import difference
from tests.matrix.asking import unencoded
from tests.matrix.collection import SUBJECTS

EXPECTED = Path(__file__).parent / "expected"
SQUARE = 64


def test_every_file_of_the_collection_has_its_row(shared_images: Path) -> None:
    """But those that are damaged, and those that are not images."""
    files = {path.name for path in shared_images.iterdir() if not path.name.startswith(("bad-", "bomb-"))}
    rows = {subject.name for subject in SUBJECTS}
    assert files - {"MANIFEST.md"} <= rows
    assert len(rows) == len(SUBJECTS)


def test_heic(shared_images: Path, bench: Bench) -> None:
    """Every part of the picture on average, and one part to the pixel."""
    whole = unencoded(bench, shared_images / "heic-phone.heic", "full/max/0")
    rows, columns = (side // SQUARE for side in whole.shape[:2])
    squares = whole[: rows * SQUARE, : columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE, 3)
    means = np.rint(squares.mean(axis=(1, 3))).astype(np.uint8)
    mean, largest = difference(means, independent.by_libvips(EXPECTED / "heic-phone-means.png"))
    assert (mean < 0.1, largest) <= (True, 1)
    part = whole[1500:1596, 1200:1328]
    mean, largest = difference(part, independent.by_libvips(EXPECTED / "heic-phone-part.png"))
    assert mean < 0.05
    assert largest <= 2


def test_subsampled_jpeg2000(shared_images: Path, bench: Bench) -> None:
    """The right colour in every row."""
    whole = unencoded(bench, shared_images / "jp2-sycc420.jp2", "full/max/0")
    mean, largest = difference(whole, independent.by_libvips(EXPECTED / "jp2-sycc420.png"))
    assert mean < 0.4
    assert largest <= 1

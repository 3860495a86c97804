"""Pages of a TIFF beside what libvips makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, SourceProperties
from tests.imaging.helpers import Bench
from tests.matrix.independent import by_libvips, decoded


@pytest.mark.parametrize(("name", "count"), [("tiff-bw-9pages.tif", 9), ("tiff-g3-multipage.tif", 2)])
def test_every_page(shared_images: Path, bench: Bench, name: str, count: int) -> None:
    """Each has its own size and its own pixels."""
    for page in range(1, count + 1):
        expected = by_libvips(shared_images / name, page - 1)
        file = SourceFile(str(shared_images / name), "1", page)
        size = SourceProperties.from_json(bench.workbench.probe(file)[0]).size
        assert size == expected.shape[1::-1]
        operation = resolve(parse_image_parameters("full", "max", "0", "default.png"), size, Limits())
        _, data = bench.workbench.render(RenderTask(file, operation, RenderSettings(png_compression=0)))
        assert np.array_equal(decoded(data), expected)

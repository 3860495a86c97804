"""Region, then size, then rotation, then quality, then format; mirroring before rotation."""

import numpy as np
import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, assert_scaled, known
from tests.conformance.service import Service

pytestmark = pytest.mark.e2e


def test_example(example: Service) -> None:
    """3.0 §4.6: the example's region is scaled, mirrored, turned, and then gray."""
    checks.follows_the_order(example)


def test_region_before_size(example: Service) -> None:
    """3.0 §4.6: the size is that of the region, and the region is in pixels of the full image."""
    assert_scaled(example.pixels("100,50,100,100/50,50/0/default.png"), (100, 50, 100, 100))


def test_size_before_rotation(example: Service) -> None:
    """3.0 §4.6: width and height are asked for before a rotation exchanges them."""
    got = example.pixels("full/150,50/90/default.png")

    assert got.shape[:2] == (150, 50)
    assert_scaled(np.rot90(got), (0, 0, *EXAMPLE))


def test_mirroring_before_rotation(example: Service) -> None:
    """3.0 §4.6: !90 is mirrored, then turned, which is 270 turned, then mirrored."""
    expected = np.rot90(known(*EXAMPLE)[:, ::-1], -1)
    assert_same(example.pixels("full/max/!90/default.png"), expected)

    other = np.rot90(known(*EXAMPLE), -1)[:, ::-1]
    assert not np.array_equal(example.pixels("full/max/!90/default.png"), other)


def test_quality_after_size(example: Service) -> None:
    """3.0 §4.6: bitonal is decided after scaling, which leaves no gray."""
    got = example.pixels("full/75,50/0/bitonal.png")

    assert set(np.unique(got).tolist()) == {0, 255}

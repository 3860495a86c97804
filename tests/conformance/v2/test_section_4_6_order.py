"""Region, then size, then rotation, then quality, then format; mirroring before rotation."""

import numpy as np
import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, assert_scaled, known
from tests.conformance.service import Service

pytestmark = pytest.mark.e2e


def test_example(example: Service) -> None:
    """2.1 §4.6: the example's region is scaled, mirrored, turned, and then gray."""
    checks.follows_the_order(example)


def test_size_before_rotation(example: Service) -> None:
    """2.1 §4.6: width and height are asked for before a rotation exchanges them."""
    got = example.pixels("full/150,50/90/default.png")

    assert got.shape[:2] == (150, 50)
    assert_scaled(np.rot90(got), (0, 0, *EXAMPLE))


def test_mirroring_before_rotation(example: Service) -> None:
    """2.1 §4.6: !90 is mirrored, then turned."""
    assert_same(example.pixels("full/full/!90/default.png"), np.rot90(known(*EXAMPLE)[:, ::-1], -1))

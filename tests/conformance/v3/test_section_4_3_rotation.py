"""Mirroring and rotation: direction, sequence, bounding box, and what is no rotation."""

import numpy as np
import pytest

from tests.conformance import checks
from tests.conformance.pictures import (
    EXAMPLE,
    assert_same,
    cut,
    known,
    quarter_turned,
)
from tests.conformance.service import Service
from tests.conformance.tables import NO_ROTATIONS, OTHER_ROTATIONS, ROTATIONS

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_by_quarters(example: Service, rotation: str) -> None:
    """3.0 §4.3: mirrored on the vertical axis before it is turned clockwise, from 0 up to 360 degrees."""
    assert_same(example.pixels(f"full/max/{rotation}/default.png"), quarter_turned(known(*EXAMPLE), rotation))


@pytest.mark.parametrize("rotation", ["90", "!90", "180", "!270"])
def test_of_a_region(example: Service, rotation: str) -> None:
    """3.0 §4.3: it is the region that is turned; width and height change with it."""
    region = cut(known(*EXAMPLE), 125, 15, 120, 140)

    assert_same(
        example.pixels(f"125,15,120,140/max/{rotation}/default.png"), quarter_turned(region, rotation)
    )


@pytest.mark.parametrize("rotation", OTHER_ROTATIONS)
def test_by_any_angle(example: Service, rotation: str) -> None:
    """3.0 §4.3: by another angle the contents are complete, unscaled, and in a bounding box without slack."""
    checks.is_turned(example, rotation)


def test_more_decimals(example: Service) -> None:
    """3.0 §4.3: any floating point number is a rotation: 89.999999 is next to no other than 90."""
    got, quarter = example.pixels("full/max/89.999999/default.png"), known(*EXAMPLE)[::-1].transpose(1, 0, 2)

    assert abs(got.shape[0] - 300) <= 2
    assert abs(got.shape[1] - 200) <= 2
    np.testing.assert_allclose(got[20:280, 20:180, :2], quarter[20:280, 20:180, :2], atol=3)


@pytest.mark.parametrize("rotation", ["22.5", "!45", "100.5"])
def test_transparent_background(example: Service, rotation: str) -> None:
    """3.0 §4.3: the corners are recommended to be transparent in a format that has transparency."""
    checks.has_transparent_corners(example, rotation)


@pytest.mark.parametrize("rotation", ["22.5", "!45"])
def test_without_transparency(example: Service, rotation: str) -> None:
    """3.0 §4.3: a format without transparency has the same bounding box."""
    assert example.size(f"full/max/{rotation}/default.jpg") == example.size(
        f"full/max/{rotation}/default.png"
    )


def test_what_is_no_rotation(example: Service) -> None:
    """3.0 §4.3: a value that is out of range or unsupported should be a 400."""
    assert example.statuses("full/max/{}/default.png", NO_ROTATIONS) == dict.fromkeys(NO_ROTATIONS, 400)

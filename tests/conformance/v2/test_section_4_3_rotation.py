"""Mirroring and rotation: direction, sequence, bounding box, and what is no rotation."""

import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, cut, known, quarter_turned
from tests.conformance.service import Service
from tests.conformance.tables import NO_ROTATIONS, OTHER_ROTATIONS, ROTATIONS

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_by_quarters(example: Service, rotation: str) -> None:
    """2.1 §4.3: mirrored on the vertical axis before it is turned clockwise, from 0 up to 360 degrees."""
    expected = quarter_turned(known(*EXAMPLE), rotation)

    assert_same(example.pixels(f"full/full/{rotation}/default.png"), expected)


@pytest.mark.parametrize("rotation", ["90", "!90"])
def test_of_a_region(example: Service, rotation: str) -> None:
    """2.1 §4.3: it is the region that is turned; width and height change with it."""
    expected = quarter_turned(cut(known(*EXAMPLE), 125, 15, 120, 140), rotation)

    assert_same(example.pixels(f"125,15,120,140/full/{rotation}/default.png"), expected)


@pytest.mark.parametrize("rotation", OTHER_ROTATIONS)
def test_by_any_angle(example: Service, rotation: str) -> None:
    """2.1 §4.3: by another angle the contents are complete, unscaled, and in a bounding box without slack."""
    checks.is_turned(example, rotation)


@pytest.mark.parametrize("rotation", ["22.5", "!45"])
def test_transparent_background(example: Service, rotation: str) -> None:
    """2.1 §4.3: the corners are recommended to be transparent in a format that has transparency."""
    checks.has_transparent_corners(example, rotation)


def test_what_is_no_rotation(example: Service) -> None:
    """2.1 §4.3: a value that is out of range or unsupported should be a 400."""
    assert example.statuses("full/full/{}/default.png", NO_ROTATIONS) == dict.fromkeys(NO_ROTATIONS, 400)

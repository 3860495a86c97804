"""Floating point values in percentages and rotations, and integers elsewhere."""

import pytest

from tests.conformance.pictures import EXAMPLE, assert_same, cut, known
from tests.conformance.service import Service
from tests.conformance.tables import NO_NUMBERS

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("number", ["0.9", "1", "33.3", "33.3333333333", f"{100 / 3}", f"{1 / 0.7}", "100"])
def test_numbers(example: Service, number: str) -> None:
    """3.0 §4.7: decimal digits and a point make a number, with as many decimals as the client has."""
    assert example.status(f"pct:0,0,{number},{number}/max/0/default.png") == 200
    assert example.status(f"full/pct:{number}/0/default.png") == 200
    assert example.status(f"full/60,/{number}/default.png") == 200


@pytest.mark.parametrize(("plainly", "otherwise"), [("0.9", ".9"), ("0.9", "0.90"), ("12", "12.0")])
def test_leading_and_trailing_zeros(example: Service, plainly: str, otherwise: str) -> None:
    """3.0 §4.7: a leading zero and no trailing ones are a recommendation; otherwise it is the same number."""
    for pattern in (
        "pct:0,0,{},50/max/0/default.png",
        "full/60,/{}/default.png",
        "pct:{},0,9,9/9,/0/gray.png",
    ):
        first, second = example.ask(pattern.format(plainly)), example.ask(pattern.format(otherwise))

        assert (first.status, second.status) == (200, 200)
        assert first.body == second.body


def test_nothing_but_digits_and_a_point(example: Service) -> None:
    """3.0 §4.7: floating point values must consist only of decimal digits and a point."""
    for pattern in ("pct:{},0,10,10/max/0/default.png", "full/pct:{}/0/default.png", "full/max/{}/gray.png"):
        assert example.statuses(pattern, NO_NUMBERS) == dict.fromkeys(NO_NUMBERS, 400)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("pct:0.5,0.5,50,50", (1.5, 1, 150, 100)),
        ("pct:33.3333333333,33.3333333333,33.3333333333,33.3333333333", (100, 66.67, 100, 66.67)),
        ("pct:0.1,0.1,99.9,99.9", (0.3, 0.2, 299.7, 199.8)),
    ],
)
def test_rounding(example: Service, region: str, expected: tuple[float, float, float, float]) -> None:
    """3.0 §4.7: how intermediate results are rounded is the implementation's, but it is to a next pixel."""
    got = example.pixels(f"{region}/max/0/default.png")
    height, width = got.shape[:2]
    picture = known(*EXAMPLE)
    places = [
        (x, y)
        for x in range(int(expected[0]), int(expected[0]) + 2)
        for y in range(int(expected[1]), int(expected[1]) + 2)
    ]

    assert abs(width - expected[2]) <= 1
    assert abs(height - expected[3]) <= 1
    found = [place for place in places if cut(picture, *place, width, height).shape == got.shape]
    assert any((cut(picture, *place, width, height) == got).all() for place in found)


def test_integers_stay_as_they_are(example: Service) -> None:
    """3.0 §4: pixels are non-negative integers, and regions by pixels are not rounded."""
    assert_same(example.pixels("1,2,3,5/max/0/default.png"), cut(known(*EXAMPLE), 1, 2, 3, 5))
    assert example.status("1.0,2,3,5/max/0/default.png") == 400
    assert example.status("full/150.0,/0/default.png") == 400

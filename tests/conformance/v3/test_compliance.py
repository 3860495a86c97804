"""Every line of the compliance document's tables, against the level and the extras that info.json states."""

import pytest

from tests.conformance.compliance import (
    ALWAYS,
    FORMAT_LINES,
    FROM_1,
    FROM_2,
    FULL,
    HTTP_LINES,
    OPTIONAL,
    ROTATION_LINES,
    Line,
    gives,
    identify,
    quality,
)
from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e

LINES = [
    # Section 3.1
    Line("", ALWAYS, FULL),
    Line("regionByPx", FROM_1, gives("125,15,120,140/max/0/default.jpg", 120, 140)),
    Line("regionByPct", FROM_2, gives("pct:41.6,7.5,40,70/max/0/default.jpg", 120, 140)),
    Line("regionSquare", FROM_1, gives("square/max/0/default.jpg", 200, 200)),
    # Section 3.2
    Line("", ALWAYS, FULL),
    Line("sizeByW", FROM_1, gives("full/150,/0/default.jpg", 150, 100)),
    Line("sizeByH", FROM_1, gives("full/,150/0/default.jpg", 225, 150)),
    Line("sizeByPct", FROM_2, gives("full/pct:50/0/default.jpg", 150, 100)),
    Line("sizeByConfinedWh", FROM_2, gives("full/!225,100/0/default.jpg", 150, 100)),
    Line("sizeByWh", FROM_1, gives("full/225,100/0/default.jpg", 225, 100)),
    Line("sizeUpscaling", OPTIONAL, gives("full/^360,/0/default.jpg", 360, 240)),
    *ROTATION_LINES,
    # Section 3.4
    quality("default", ALWAYS),
    quality("color", FROM_2),
    quality("gray", FROM_2),
    quality("bitonal", OPTIONAL),
    *FORMAT_LINES,
    *HTTP_LINES,
]


@pytest.mark.parametrize("line", LINES, ids=identify)
def test_lines(example: Service, line: Line) -> None:
    """3.0 compliance §3 and §4: what the stated level requires is there, the rest exactly if it is listed."""
    check(example, line)


def test_upscaling_without_limits(image: Images) -> None:
    """3.0 compliance §3.2: ^ is optional, and is neither listed nor served where there is no limit."""
    upscaling = next(line for line in LINES if line.name == "sizeUpscaling")
    service = image(profile="boundless")

    check(service, upscaling)
    assert not upscaling.provided(service)


def check(service: Service, line: Line) -> None:
    """Hold a line of the tables against a service."""
    document = service.info()
    level = int(document["profile"].removeprefix("level"))
    listed = line.name in document[f"extra{line.key.capitalize()}"]

    assert line.provided(service) == (line.required[level] or listed)
    if line.key != "qualities":
        # Extra features and formats are those "in addition to the ones specified in the referenced profile".
        assert not (line.required[level] and listed)

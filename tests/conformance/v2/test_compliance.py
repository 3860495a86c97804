"""Every line of the compliance document's tables, against the level and the profile that info.json states."""

import pytest

from tests.conformance.compliance import (
    ALWAYS,
    FORMAT_LINES,
    FROM_1,
    FROM_2,
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

MAX = Line("", OPTIONAL, gives("full/max/0/default.jpg", 300, 200))
"""An optional form of the size that has no name by which it could be listed."""

LINES = [
    # Section 3.1
    Line("", ALWAYS, gives("full/150,/0/default.jpg", 150, 100)),
    Line("regionByPx", FROM_1, gives("125,15,120,140/full/0/default.jpg", 120, 140)),
    Line("regionByPct", FROM_2, gives("pct:41.6,7.5,40,70/full/0/default.jpg", 120, 140)),
    Line("regionSquare", OPTIONAL, gives("square/full/0/default.jpg", 200, 200)),
    # Section 3.2
    Line("", ALWAYS, gives("full/full/0/default.jpg", 300, 200)),
    Line("sizeByW", FROM_1, gives("full/150,/0/default.jpg", 150, 100)),
    Line("sizeByH", FROM_1, gives("full/,150/0/default.jpg", 225, 150)),
    Line("sizeByPct", FROM_1, gives("full/pct:50/0/default.jpg", 150, 100)),
    Line("sizeByConfinedWh", FROM_2, gives("full/!225,100/0/default.jpg", 150, 100)),
    Line("sizeByDistortedWh", FROM_2, gives("full/225,100/0/default.jpg", 225, 100)),
    Line("sizeByWh", FROM_2, gives("full/150,100/0/default.jpg", 150, 100)),
    Line("sizeAboveFull", OPTIONAL, gives("full/360,/0/default.jpg", 360, 240)),
    *ROTATION_LINES,
    # Section 3.4
    quality("default", ALWAYS),
    quality("color", FROM_2),
    quality("gray", FROM_2),
    quality("bitonal", FROM_2),
    *FORMAT_LINES,
    *HTTP_LINES,
]


@pytest.mark.parametrize("line", LINES, ids=identify)
def test_lines(example: Service, line: Line) -> None:
    """2.1 compliance §3 and §4: what the stated level requires is there, the rest exactly if it is listed."""
    check(example, line)


def test_max(example: Service) -> None:
    """2.1 compliance §3.2: max is optional at every level, and this server has it."""
    assert MAX.provided(example)


def test_above_full_without_limits(image: Images) -> None:
    """2.1 compliance §3.2: sizeAboveFull is neither listed nor served where there is no limit."""
    above_full = next(line for line in LINES if line.name == "sizeAboveFull")
    service = image(profile="boundless")

    check(service, above_full)
    assert not above_full.provided(service)


def check(service: Service, line: Line) -> None:
    """Hold a line of the tables against a service."""
    uri, description = service.info()["profile"]
    level = int(uri.removeprefix("http://iiif.io/api/image/2/level").removesuffix(".json"))
    key = "supports" if line.key == "features" else line.key

    assert line.provided(service) == (line.required[level] or line.name in description[key])

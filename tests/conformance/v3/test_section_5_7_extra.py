"""Extra functionality: what is listed beyond the level is there, and what is not listed is not."""

import pytest

from tests.conformance.service import Images, Service
from tests.conformance.tables import MEDIA_TYPES

pytestmark = pytest.mark.e2e

FEATURES = {
    "baseUriRedirect",
    "canonicalLinkHeader",
    "cors",
    "jsonldMediaType",
    "mirroring",
    "profileLinkHeader",
    "regionByPct",
    "regionByPx",
    "regionSquare",
    "rotationArbitrary",
    "rotationBy90s",
    "sizeByConfinedWh",
    "sizeByH",
    "sizeByPct",
    "sizeByW",
    "sizeByWh",
    "sizeUpscaling",
}
"""The table of section 5.7. That each is provided, or not, as stated is tried in test_compliance.py."""


def test_features(image: Images, site: str) -> None:
    """3.0 §5.7: the listed features are from the table, each one once."""
    listed = image(profile=site).info()["extraFeatures"]

    assert set(listed) <= FEATURES
    assert len(listed) == len(set(listed))


def test_upscaling_wants_a_limit(image: Images, site: str) -> None:
    """3.0 §5.7: a server that supports sizeUpscaling must specify maxWidth or maxArea."""
    document = image(profile=site).info()
    limited = "maxWidth" in document or "maxArea" in document

    assert ("sizeUpscaling" in document["extraFeatures"]) == limited


def test_upscaling_is_as_stated(image: Images) -> None:
    """3.0 §5.7: with sizeUpscaling every form has its ^, up to the limits; without it none upscales."""
    sizes = ["^max", "^1200,", "^,800", "^pct:400", "^1200,800", "^!1200,1200", "^9000,11111"]
    # HEAD answers what GET would, without an image of a hundred million pixels.
    found = [
        {size: image(profile=site).ask(f"full/{size}/0/default.jpg", "HEAD").status for size in sizes}
        for site in ("files", "boundless")
    ]

    assert found == [dict.fromkeys(sizes, 200), dict.fromkeys(sizes, 501) | {"^max": 200}]


def test_formats(example: Service) -> None:
    """3.0 §5.7: the listed formats are in addition to those of level 2, and each is served."""
    listed = example.info()["extraFormats"]

    assert len(listed) == len(set(listed))
    assert not {"jpg", "png"} & set(listed)
    for extension in listed:
        answer = example.ask(f"full/150,/0/default.{extension}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == MEDIA_TYPES.get(extension, f"image/{extension}")


def test_qualities(example: Service) -> None:
    """3.0 §5.7: the listed qualities are in addition to default, and each is served."""
    listed = example.info()["extraQualities"]

    assert "default" not in listed
    assert {example.status(f"full/150,/0/{quality}.png") for quality in listed} == {200}

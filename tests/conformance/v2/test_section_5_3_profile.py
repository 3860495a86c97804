"""The profile description: what is listed beyond the level is there, and what is not listed is not."""

from typing import Any

import pytest

from tests.conformance.service import Images, Service
from tests.conformance.tables import AROUND_THE_LIMITS, LIMITS, MEDIA_TYPES
from tests.conformance.tiling import within

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
    "sizeAboveFull",
    "sizeByConfinedWh",
    "sizeByDistortedWh",
    "sizeByH",
    "sizeByPct",
    "sizeByW",
    "sizeByWh",
}
"""The table of section 5.3 without the two deprecated names. Each is tried in test_compliance.py."""


def description(service: Service) -> dict[str, Any]:
    """The object in the list of profiles."""
    (found,) = service.info()["profile"][1:]
    assert isinstance(found, dict)
    return found


def test_properties(image: Images, site: str) -> None:
    """2.1 §5.3: the object has properties of the table; @context, @id and @type should not be included."""
    limits = {"maxArea", "maxHeight", "maxWidth"}

    assert set(description(image(profile=site))) - limits == {"formats", "qualities", "supports"}


def test_no_empty_lists(image: Images, site: str) -> None:
    """2.1 §5.3: formats, qualities and supports should say more than the level does, or be left out."""
    found = description(image("gray.png", site))

    assert set(found["formats"]) - {"jpg", "png"}
    assert set(found["qualities"]) - {"default", "bitonal"}
    assert set(found["supports"])


def test_features(image: Images, site: str) -> None:
    """2.1 §5.3: the listed features are from the table, each one once, and none is deprecated."""
    listed = description(image(profile=site))["supports"]

    assert set(listed) <= FEATURES
    assert len(listed) == len(set(listed))


def test_above_full_comes_with_a_limit(image: Images, site: str) -> None:
    """2.1 §10: servers that implement sizeAboveFull are recommended to limit it."""
    found = description(image(profile=site))

    assert ("sizeAboveFull" in found["supports"]) == bool(LIMITS[site])


def test_limits(image: Images, site: str) -> None:
    """2.1 §5.3: maxWidth, maxHeight and maxArea express exactly the limits that there are."""
    found = description(image(profile=site))

    assert {key: value for key, value in found.items() if key.startswith("max")} == LIMITS[site]


@pytest.mark.parametrize("limited", [name for name, limits in LIMITS.items() if limits])
def test_the_limits_are_what_is_served(image: Images, limited: str) -> None:
    """2.1 §5.3: what is larger than the stated limits is rejected; with sizeAboveFull, the rest is served."""
    service = image("pixel.png", limited)
    stated = description(service)
    for size in AROUND_THE_LIMITS:
        # HEAD answers what GET would, without an image of a hundred million pixels.
        answer = service.ask(f"full/{size[0]},{size[1]}/0/default.png", "HEAD")

        assert answer.status == (200 if within(stated, *size) else 400), size


def test_formats(example: Service) -> None:
    """2.1 §5.3: formats are those available for the image, and each is served."""
    listed = description(example)["formats"]

    assert len(listed) == len(set(listed))
    for extension in listed:
        answer = example.ask(f"full/150,/0/default.{extension}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == MEDIA_TYPES.get(extension, f"image/{extension}")


@pytest.mark.parametrize("name", ["example.png", "gray.png", "bitonal.png"])
def test_qualities(image: Images, name: str) -> None:
    """2.1 §5.3: qualities are those available for the image, and each is served; color if there is any."""
    service = image(name)
    listed = description(service)["qualities"]

    assert set(listed) == {"default", "gray", "bitonal"} | ({"color"} if name == "example.png" else set())
    assert len(listed) == len(set(listed))
    assert {service.status(f"full/150,/0/{quality}.jpg") for quality in listed} == {200}

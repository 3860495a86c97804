"""Technical properties (section 5.2), rights (section 5.6), and the compliance level (section 6)."""

import pytest

from tests.conformance.conftest import RIGHTS
from tests.conformance.service import Images, Service
from tests.conformance.tables import AROUND_THE_LIMITS, LIMITS
from tests.conformance.tiling import within

pytestmark = pytest.mark.e2e

KEYS = {
    "@context",
    "id",
    "type",
    "protocol",
    "profile",
    "width",
    "height",
    "maxWidth",
    "maxHeight",
    "maxArea",
    "sizes",
    "tiles",
    "rights",
    "extraQualities",
    "extraFormats",
    "extraFeatures",
}
"""The properties that this suite has tests of."""


def test_required_properties(image: Images, site: str) -> None:
    """3.0 §5.2: the required properties have exactly the values that the table demands."""
    service = image(profile=site)
    document = service.info()

    assert document["@context"] == "http://iiif.io/api/image/3/context.json"
    assert document["id"] == service.uri
    assert document["type"] == "ImageService3"
    assert document["protocol"] == "http://iiif.io/api/image"
    assert document["profile"] == "level2"
    assert (document["width"], document["height"]) == (300, 200)
    assert {type(document[key]) for key in ("width", "height")} == {int}


def test_the_context_comes_first(image: Images, site: str) -> None:
    """3.0 §5.2: @context should be the very first pair of the document."""
    assert next(iter(image(profile=site).info())) == "@context"


def test_the_id_has_no_trailing_slash(example: Service) -> None:
    """3.0 §5.2: the id is the base URI, with its scheme and server, without a trailing slash."""
    image_id = example.info()["id"]

    assert image_id.startswith("http://127.0.0.1:")
    assert not image_id.endswith("/")


def test_no_other_properties(image: Images, site: str) -> None:
    """3.0 §5.7: properties that the specification does not define would need a context, so there is none."""
    assert set(image(profile=site).info()) <= KEYS


def test_limits(image: Images, site: str) -> None:
    """3.0 §5.2: maxWidth, maxHeight and maxArea express exactly the limits that there are."""
    stated = {key: value for key, value in image(profile=site).info().items() if key.startswith("max")}

    assert stated == LIMITS[site]


@pytest.mark.parametrize("limited", [name for name, limits in LIMITS.items() if limits])
def test_the_limits_are_what_is_served(image: Images, limited: str) -> None:
    """3.0 §5.2: what is larger than the stated limits is rejected; with upscaling, the rest is served."""
    service = image("pixel.png", limited)
    stated = service.info()
    for size in AROUND_THE_LIMITS:
        # HEAD answers what GET would, without an image of a hundred million pixels.
        answer = service.ask(f"full/^{size[0]},{size[1]}/0/default.png", "HEAD")

        assert answer.status == (200 if within(stated, *size) else 400), size


@pytest.mark.parametrize(("profile", "rights"), RIGHTS.items())
def test_rights(image: Images, profile: str, rights: str) -> None:
    """3.0 §5.6: rights is one string, a Creative Commons or RightsStatements.org URI as configured."""
    assert image(profile=profile).info()["rights"] == rights


def test_the_level_links_to_its_profile(image: Images, site: str) -> None:
    """3.0 §6: the profile document of the level is linked from image and image information responses."""
    service = image(profile=site)
    profile = f"http://iiif.io/api/image/3/{service.info()['profile']}.json"

    assert service.links("info.json")["profile"] == profile
    assert service.links("full/150,/0/default.jpg")["profile"] == profile

"""Technical properties (section 5.2), the licence (section 5.4), and the compliance level (section 6)."""

import pytest

from tests.conformance.conftest import RIGHTS
from tests.conformance.service import Images

pytestmark = pytest.mark.e2e

KEYS = {"@context", "@id", "protocol", "width", "height", "sizes", "tiles", "profile", "license"}
"""The properties that this suite has tests of."""

LEVEL = "http://iiif.io/api/image/2/level2.json"


def test_required_properties(image: Images, site: str) -> None:
    """2.1 §5.2: the required properties have exactly the values that the table demands."""
    service = image(profile=site)
    document = service.info()

    assert document["@context"] == "http://iiif.io/api/image/2/context.json"
    assert document["@id"] == service.uri
    assert not document["@id"].endswith("/")
    assert document["protocol"] == "http://iiif.io/api/image"
    assert (document["width"], document["height"]) == (300, 200)
    assert {type(document[key]) for key in ("width", "height")} == {int}


def test_no_other_properties(image: Images, site: str) -> None:
    """2.1 §5.2: there is nothing of version 3 in the document, and nothing of its own."""
    assert set(image(profile=site).info()) | {"tiles"} == KEYS


def test_the_level_comes_first(image: Images, site: str) -> None:
    """2.1 §5.2: profile is a list, whose first entry must be a compliance level URI."""
    profile = image(profile=site).info()["profile"]

    assert profile[0] == LEVEL
    assert all(isinstance(entry, dict) for entry in profile[1:])


def test_the_level_is_linked(image: Images, site: str) -> None:
    """2.1 §6: the compliance level URI is also given in the Link header."""
    service = image(profile=site)

    assert service.links("info.json")["profile"] == LEVEL
    assert service.links("full/150,/0/default.jpg")["profile"] == LEVEL


@pytest.mark.parametrize(("profile", "license_uri"), RIGHTS.items())
def test_license(image: Images, profile: str, license_uri: str) -> None:
    """2.1 §5.4: license links to the licence or rights statement."""
    assert image(profile=profile).info()["license"] == license_uri

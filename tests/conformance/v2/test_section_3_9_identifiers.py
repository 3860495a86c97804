"""Identifiers (section 3), and how the components of a URI are encoded (section 9)."""

import pytest

from tests.conformance import checks
from tests.conformance.pictures import ENCODED_NAMES, EXAMPLE, SPECIAL_NAMES
from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", ENCODED_NAMES + SPECIAL_NAMES)
def test_encoded_identifiers(image: Images, name: str) -> None:
    """2.1 §9: identifiers whose special characters are percent-encoded name their image."""
    service = image(name)

    assert service.size("full/full/0/default.png") == EXAMPLE
    checks.id_is_encoded(service, service.info()["@id"])


@pytest.mark.parametrize(
    "parameters",
    [
        "full/full/0/default.png",
        "0,10,100,200/pct:50/90/default.png",
        "pct:10,10,80,80/50,/22.5/color.jpg",
        "full/full/270/gray.jpg",
    ],
)
def test_the_parameters_of_the_examples(image: Images, parameters: str) -> None:
    """2.1 §9: the rows of the table that have a format are image requests."""
    assert image("id1").status(parameters) == 200


def test_slashes_in_identifiers_must_be_encoded(image: Images) -> None:
    """2.1 §3: a slash that is not encoded separates segments, and is no part of the identifier."""
    assert image("ark:/12025/654xz321").status("full/full/0/default.png") in {400, 404}
    assert image("ark:%2F12025%2f654xz321").status("full/full/0/default.png") == 200


def test_separators_must_not_be_encoded(example: Service) -> None:
    """2.1 §9: the slashes that separate the components must not be encoded."""
    for parameters in ("full%2Ffull/0/default.png", "full/full%2F0/default.png", "full/full/0%2Fdefault.png"):
        assert example.status(parameters) in {400, 404}


def test_needless_encoding(example: Service) -> None:
    """2.1 §9: percent-encoding other characters is unnecessary but introduces no ambiguity."""
    checks.needs_no_encoding(example)


def test_a_percent_sign_is_decoded_once(image: Images) -> None:
    """2.1 §9: %253C in an address is %3C in the identifier, and not a less-than sign."""
    once = "urn:sici:1046-8188(199501)13:1%253C69:FTTHBI%253E2.0.TX;2-4"

    assert image(once).ask("info.json").status == 200
    assert image(once.replace("%25", "%")).ask("info.json").status == 404

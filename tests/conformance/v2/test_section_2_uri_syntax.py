"""The base URI, image requests and image information requests."""

import pytest

from tests.conformance.pictures import EXAMPLE
from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e


def test_base_uri_redirects(example: Service) -> None:
    """2.1 §2: dereferencing the base URI should be a 303 to the image information document."""
    answer = example.client.get(example.path)

    assert answer.status == 303
    assert answer.headers["Location"] == f"{example.uri}/info.json"


def test_image_request(example: Service) -> None:
    """2.1 §2.1: {region}/{size}/{rotation}/{quality}.{format} behind the base URI gives an image."""
    answer = example.ask("full/full/0/default.jpg")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_the_sequence_of_parameters(example: Service) -> None:
    """2.1 §4: the sequence of parameters must be the one described, and all of them are required."""
    for parameters in (
        "max/full/0/default.png",
        "full/0/full/default.png",
        "full/full/default/0.png",
        "0/full/full/default.png",
        "full/full/default.png",
        "full/full/0/0/default.png",
    ):
        assert example.status(parameters) in {400, 404}, parameters


def test_information_request(image: Images) -> None:
    """2.1 §2.2: scheme, server, prefix and identifier of info.json must be those of the image requests."""
    for name in ("example.png", "portrait.png", "square.png"):
        service = image(name)
        document = service.info()

        assert document["@id"] == service.uri
        assert service.size("full/full/0/default.png") == (document["width"], document["height"])


def test_the_example_has_its_size(example: Service) -> None:
    """2.1 §2.2: info.json describes the image content."""
    assert (example.info()["width"], example.info()["height"]) == EXAMPLE

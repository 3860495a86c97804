"""The base URI, image requests and image information requests."""

import json

import pytest

from tests.conformance.pictures import EXAMPLE
from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e


def test_base_uri_redirects(example: Service) -> None:
    """3.0 §2: dereferencing the base URI should be a 303 to the image information document."""
    answer = example.client.get(example.path)

    assert answer.status == 303
    assert answer.headers["Location"] == f"{example.uri}/info.json"


def test_prefix_is_optional(example: Service) -> None:
    """3.0 §2: the prefix is optional, and is part of the base URI where there is one."""
    bare = f"/{example.profile}:{example.name}"
    document = json.loads(example.client.get(f"{bare}/info.json").body)

    assert document["id"] == f"{example.client.server.url}{bare}"
    assert document["type"] == "ImageService3"
    parameters = "125,15,120,140/60,/90/gray.png"
    assert example.client.get(f"{bare}/{parameters}").body == example.ask(parameters).body


def test_image_request(example: Service) -> None:
    """3.0 §2.1: {region}/{size}/{rotation}/{quality}.{format} behind the base URI gives an image."""
    answer = example.ask("full/max/0/default.jpg")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    "parameters",
    [
        "max/full/0/default.png",
        "full/0/max/default.png",
        "full/max/default/0.png",
        "0/full/max/default.png",
        "full/max/default.png",
        "full/max/0/0/default.png",
    ],
)
def test_the_sequence_of_parameters(example: Service, parameters: str) -> None:
    """3.0 §4: the sequence of parameters must be the one described, and all of them are required."""
    assert example.status(parameters) in {400, 404}


def test_information_request(example: Service) -> None:
    """3.0 §2.2: info.json behind the base URI describes what image requests at the same base URI give."""
    document = example.info()

    assert document["id"] == example.uri
    assert (document["width"], document["height"]) == EXAMPLE
    assert example.size("full/max/0/default.png") == EXAMPLE


def test_an_information_document_for_each_base_uri(image: Images) -> None:
    """3.0 §2.2: scheme, server, prefix and identifier of info.json must be those of the image requests."""
    for name in ("portrait.png", "square.png"):
        service = image(name)

        assert service.info()["id"] == service.uri
        assert service.size("full/max/0/default.png") == (service.info()["width"], service.info()["height"])

"""The image information request, and the media type of its answer."""

import pytest

from tests.conformance import checks
from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e

JSON_LD = "application/ld+json"
JSON = "application/json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/ld+json", JSON_LD),
        ('application/ld+json;profile="http://iiif.io/api/image/2/context.json"', JSON_LD),
        ("application/ld+json, application/json;q=0.9", JSON_LD),
        ("application/ld+json, */*;q=0.1", JSON_LD),
        ("application/json", JSON),
        ("application/json, application/ld+json;q=0.9", JSON),
        ("application/*", JSON),
        ("*/*", JSON),
        ("text/html", JSON),
    ],
)
def test_accept(example: Service, accept: str, expected: str) -> None:
    """2.1 §5.1: JSON-LD if the client explicitly wants it; otherwise it must be the regular JSON type."""
    answer = example.ask("info.json", Accept=accept)

    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == expected


def test_without_an_accept_header(example: Service) -> None:
    """2.1 §5.1: without an Accept header it must be the regular JSON type."""
    assert example.ask("info.json").headers["Content-Type"].partition(";")[0] == JSON


def test_one_document(example: Service) -> None:
    """2.1 §5.1: the syntax is JSON-LD under either media type, and so the document is the same."""
    first, second = example.ask("info.json"), example.ask("info.json", Accept=JSON_LD)

    assert first.body == second.body
    assert "Accept" in first.headers["Vary"]
    assert "Accept" in second.headers["Vary"]


def test_cross_origin(example: Service) -> None:
    """2.1 §5.1: Access-Control-Allow-Origin should be sent with the value *."""
    answer = example.ask("info.json", Origin=checks.ORIGIN)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_nothing_to_describe(image: Images) -> None:
    """2.1 §7.2: an identifier of no image is a 404 for its information as well."""
    names = ["nothing.png", "", "example.png%2F"]

    assert [image(name).ask("info.json").status for name in names] == [404, 404, 404]

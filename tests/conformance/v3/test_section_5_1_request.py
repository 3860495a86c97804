"""The image information request, and the media type of its answer."""

import json

import pytest

from tests.conformance.service import Images, Service

pytestmark = pytest.mark.e2e

JSON_LD = 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'
JSON = "application/json"


def test_without_an_accept_header(example: Service) -> None:
    """3.0 §5.1: without an Accept header it should be JSON-LD with the context as its profile parameter."""
    assert example.ask("info.json").headers["Content-Type"] == JSON_LD


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", JSON_LD),
        ("application/*", JSON_LD),
        ("application/ld+json", JSON_LD),
        (JSON_LD, JSON_LD),
        ("application/ld+json;charset=utf-8", JSON_LD),
        ("application/ld+json, application/json;q=0.9", JSON_LD),
        ("application/json;q=0.5, application/ld+json;q=0.6", JSON_LD),
        (JSON, JSON),
        ("application/json;charset=utf-8", JSON),
        ("application/json, application/ld+json;q=0.9", JSON),
        ("application/json, */*;q=0.1", JSON),
        ("application/ld+json;q=0, application/json", JSON),
    ],
)
def test_content_negotiation(example: Service, accept: str, expected: str) -> None:
    """3.0 §5.1: with an Accept header, which may have parameters, it should be what the client prefers."""
    answer = example.ask("info.json", Accept=accept)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == expected


def test_regular_json_has_no_profile_parameter(example: Service) -> None:
    """3.0 §5.1: application/json is without a profile parameter."""
    content_type = example.ask("info.json", Accept=JSON).headers["Content-Type"]

    assert "profile" not in content_type


def test_one_document(example: Service) -> None:
    """3.0 §5.1: the syntax is JSON-LD under either media type, and so the document is the same."""
    first, second = example.ask("info.json"), example.ask("info.json", Accept=JSON)

    assert isinstance(json.loads(first.body), dict)
    assert first.body == second.body
    assert "Accept" in first.headers["Vary"]
    assert "Accept" in second.headers["Vary"]


def test_cross_origin(example: Service) -> None:
    """3.0 §5.1: CORS should be supported on image information responses."""
    assert (
        example.ask("info.json", Origin="https://viewer.example").headers["Access-Control-Allow-Origin"]
        == "*"
    )


def test_nothing_to_describe(image: Images) -> None:
    """3.0 §7.3: an identifier of no image is a 404 for its information as well."""
    names = ["nothing.png", "", "example.png%2F"]

    assert [image(name).ask("info.json").status for name in names] == [404, 404, 404]

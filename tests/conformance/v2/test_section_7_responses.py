"""Server responses: success, errors; and the checks of requests that section 10 asks for."""

import pytest

from tests.conformance import checks
from tests.conformance.service import Images, Service
from tests.conformance.tables import HOSTILE_NAMES, HOSTILE_PARAMETERS

pytestmark = pytest.mark.e2e

ERRORS = {
    "0,0,0,0/full/0/default.jpg": 400,
    "full/^150,/0/default.jpg": 400,
    "full/full/361/default.jpg": 400,
    "full/full/0/native.jpg": 400,
    "full/full/0/default.jpeg": 400,
}


@pytest.mark.parametrize("parameters", [checks.IMAGE, "info.json"])
def test_get_and_head(example: Service, parameters: str) -> None:
    """2.1 §7.1: with a status of 200 the body must be the image or document; HEAD is GET without the body."""
    checks.answers_head(example, parameters)


@pytest.mark.parametrize("parameters", [checks.IMAGE, "info.json"])
def test_not_modified(example: Service, parameters: str) -> None:
    """2.1 §7.1: a 304 is handled exactly as per the HTTP specification."""
    checks.answers_not_modified(example, parameters)


def test_redirects(example: Service) -> None:
    """2.1 §7.1: a redirect must have a Location, and is recommended to have an empty body."""
    checks.redirects_without_a_body(example)


def test_cross_origin(example: Service) -> None:
    """2.1 §5.3: cors is the CORS header on all responses, errors included."""
    for parameters in (checks.IMAGE, "info.json", *ERRORS, "", "nothing"):
        answer = example.ask(parameters, Origin=checks.ORIGIN)

        assert answer.headers["Access-Control-Allow-Origin"] == "*", parameters


@pytest.mark.parametrize(("parameters", "status"), ERRORS.items())
def test_bad_requests(example: Service, parameters: str, status: int) -> None:
    """2.1 §7.2: a request of incorrect syntax is a 400; a description that people can read is recommended."""
    checks.explains(example, parameters, status)


@pytest.mark.parametrize(
    ("profile", "name"),
    [("files", "nothing.png"), ("nothing", "example.png"), ("files", "example"), ("files", "")],
)
def test_not_found(image: Images, profile: str, name: str) -> None:
    """2.1 §7.2: an image that does not exist is a 404, at each of its addresses."""
    checks.is_nowhere(image(name, profile=profile))


def test_not_implemented(image: Images) -> None:
    """2.1 §7.2: a valid request that is not implemented is a 501, with a description."""
    checks.explains(image(profile="boundless"), "full/600,/0/default.jpg", 501)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_identifiers_are_sanitized(image: Images, name: str) -> None:
    """2.1 §10: directory traversal, invalid characters and excessive lengths are rejected."""
    service = image(name)

    assert {service.ask("info.json").status, service.status(checks.IMAGE)} <= {400, 404}


def test_parameters_are_checked(example: Service) -> None:
    """2.1 §10: parameters out of range, too long or with invalid characters are rejected early."""
    for parameters in HOSTILE_PARAMETERS:
        answer = example.ask(parameters)

        assert answer.status == 400, parameters
        assert "X-Injected" not in answer.headers

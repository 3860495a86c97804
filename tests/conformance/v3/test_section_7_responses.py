"""Server responses: methods, CORS, success, errors; and the checks of requests that section 10 asks for."""

import pytest

from tests.conformance import checks
from tests.conformance.service import Images, Service
from tests.conformance.tables import HOSTILE_NAMES, HOSTILE_PARAMETERS

pytestmark = pytest.mark.e2e

ERRORS = {
    "0,0,0,0/max/0/default.jpg": 400,
    "full/301,/0/default.jpg": 400,
    "full/max/361/default.jpg": 400,
    "full/max/0/native.jpg": 400,
    "full/max/0/default.jpeg": 400,
}


@pytest.mark.parametrize("parameters", [checks.IMAGE, "info.json"])
def test_get_and_head(example: Service, parameters: str) -> None:
    """3.0 §7: GET must be supported, and HEAD is recommended, which is GET without the body."""
    checks.answers_head(example, parameters)


def test_head_of_an_error(example: Service) -> None:
    """3.0 §7: HEAD has the status that GET has."""
    assert {parameters: example.ask(parameters, "HEAD").status for parameters in ERRORS} == ERRORS


@pytest.mark.parametrize("parameters", [checks.IMAGE, "info.json", "full/max/0/default.jpeg"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preflight(example: Service, parameters: str, method: str) -> None:
    """3.0 §7.1: OPTIONS should be supported as part of the preflight request pattern."""
    checks.answers_preflight(example, parameters, method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_cross_origin(example: Service, method: str) -> None:
    """3.0 §7.1: every response should allow scripts of other sites to read it, errors included."""
    for parameters in (checks.IMAGE, "info.json", *ERRORS, "", "nothing"):
        answer = example.ask(parameters, method, Origin=checks.ORIGIN)

        assert answer.headers["Access-Control-Allow-Origin"] == "*", parameters
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_redirects(example: Service) -> None:
    """3.0 §7.2: a redirect must have a Location, and is recommended to have an empty body."""
    checks.redirects_without_a_body(example)


@pytest.mark.parametrize("parameters", [checks.IMAGE, "info.json"])
def test_not_modified(example: Service, parameters: str) -> None:
    """3.0 §7.2: a 304 is handled as HTTP has it: with the entity tag, and without a body."""
    checks.answers_not_modified(example, parameters)


@pytest.mark.parametrize(("parameters", "status"), ERRORS.items())
def test_bad_requests(example: Service, parameters: str, status: int) -> None:
    """3.0 §7.3: a request of incorrect syntax is a 400; a description that people can read is recommended."""
    checks.explains(example, parameters, status)


@pytest.mark.parametrize(
    ("profile", "name"),
    [("files", "nothing.png"), ("nothing", "example.png"), ("files", "example"), ("files", "")],
)
def test_not_found(image: Images, profile: str, name: str) -> None:
    """3.0 §7.3: an image that does not exist is a 404, at each of its addresses."""
    checks.is_nowhere(image(name, profile=profile))


def test_not_implemented(image: Images) -> None:
    """3.0 §7.3: a valid request that is not implemented is a 501, with a description."""
    checks.explains(image(profile="boundless"), "full/^600,/0/default.jpg", 501)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_identifiers_are_sanitized(image: Images, name: str) -> None:
    """3.0 §10: directory traversal, invalid characters and excessive lengths are rejected."""
    service = image(name)

    assert {service.ask("info.json").status, service.status(checks.IMAGE)} <= {400, 404}


def test_parameters_are_checked(example: Service) -> None:
    """3.0 §10: parameters out of range, too long or with invalid characters are rejected early."""
    for parameters in HOSTILE_PARAMETERS:
        answer = example.ask(parameters)

        assert answer.status == 400, parameters
        assert "X-Injected" not in answer.headers

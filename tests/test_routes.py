"""What a plugin's route may be, and what its handler is given."""

import re
from typing import Any

import pytest

from iiif_server.api import NotFound, Route, RouteAnswer, RouteRequest
from tests.support.paths import REPOSITORY


async def answer(request):
    return RouteAnswer(body=b"hello")


def request(default):
    return RouteRequest({}, {}, {}, default, "https://example.org/media")


@pytest.mark.parametrize("path", ["/mam/{asset_id}", "/a/b", "/a/{b}/c", "/a/{b}/{c}/d", "/a/b/c/d/e/{f}"])
def test_paths(path):
    assert Route(path, answer).path == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "mam/x", "/mam", "/{id}", "/{id}/x", "/mam/", "//x", "/mam//x", "/mam/..", "/mam/./x"),
        *("/mam/{a}/{a}", "/mam/x{a}", "/mam/{A}", "/mam/{a:.*}", "/mam/a b", "/mam/%41", "/mam/ü"),
    ],
)
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match=r"want a path|neither plain text|stands twice"):
        Route(path, answer)


@pytest.mark.parametrize(
    "path",
    [
        *("/iiif/x", "/static/{file}", "/status/x", "/health/x", "/metrics/x", "/originals/{x}"),
        *("/mam/info.json", "/mam/original", "/mam/preview", "/mam/thumbnail", "/mam/{a}/{b}/{c}/{d}"),
    ],
)
def test_addresses_of_the_server(path):
    with pytest.raises(ValueError, match="the server's own"):
        Route(path, answer)


@pytest.mark.parametrize(
    ("default", "name", "url"),
    [
        (None, "a b/c", "https://example.org/media/files:a%20b%2Fc"),
        ("other", "a", "https://example.org/media/files:a"),
        ("files", "a b/c", "https://example.org/media/a%20b%2Fc"),
        # Without the profile, these would be other images.
        ("files", "x:y", "https://example.org/media/files:x:y"),
        ("files", "x;page=2", "https://example.org/media/files:x;page=2;page=1"),
    ],
)
def test_urls_of_images(default, name, url):
    assert request(default).image_url("files", name) == url


def test_redirects():
    redirect = RouteAnswer.redirect("https://example.org/x", status=307)

    assert (redirect.status, redirect.headers) == (307, {"Location": "https://example.org/x"})


async def test_the_code_of_the_guide():
    page = (REPOSITORY / "docs" / "how-to" / "add-a-route.md").read_text()
    code = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    (route,) = names["iiif_register_routes"]()

    found = await route.handler(RouteRequest({"number": "1887-12"}, {}, {}, None, "http://127.0.0.1:8182"))
    assert f"{found.status} {found.headers['Location']}\n" in page
    with pytest.raises(NotFound):
        await route.handler(RouteRequest({"number": "x"}, {}, {}, None, ""))

"""``thumbnail``, ``preview`` and the bare identifier: other addresses of images that there are."""

import io
import json

import pytest
from PIL import Image

from tests.support.server import serve_command
from tests.web.conftest import Client

IMAGE_TAG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
NAVIGATION = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(scope="module")
def narrow(module_server, images, tmp_path_factory):
    """A server with sizes of its own, and a profile whose limits are below them."""
    scratch = tmp_path_factory.mktemp("narrow")
    config = scratch / "config.yaml"
    entry = f"{{type: disk, rights: 'http://creativecommons.org/licenses/by/4.0/', path: {images}"
    config.write_text(
        f"cache_path: {scratch / 'cache'}\nthumbnail_width: 200\npreview_width: 600\ndefault_api_version: 2\n"
        f"profiles:\n  files: {entry}}}\n  low: {entry}, max_width: 300, max_height: 100}}\n"
        f"  few: {entry}, max_area: 10000}}\n"
    )
    return Client(module_server.command(serve_command("--config", str(config))))


def size_of(answer):
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.format == "JPEG"
        return image.size


@pytest.mark.parametrize(
    ("path", "size", "same"),
    [
        ("/files:photo.jpg/thumbnail", (512, 366), "/iiif/3/files:photo.jpg/full/512,/0/default.jpg"),
        ("/photo.jpg/preview", (700, 500), "/files:photo.jpg/full/max/0/default.jpg"),
        ("/gray.png/thumbnail", (300, 300), "/files:gray.png/full/max/0/default.jpg"),
        ("/turned.jpg/thumbnail", (500, 700), "/turned.jpg/full/max/0/color.jpg"),
        ("/files%3Aa%2Fb%2Fdeep.png/thumbnail", (70, 50), "/a%2Fb%2Fdeep.png/full/max/0/default.jpg"),
        ("/pages.tif;page=2/preview", (128, 48), "/pages.tif;page=2/full/max/0/default.jpg"),
    ],
)
def test_a_shortcut_is_another_address_of_an_image(client, path, size, same):
    """The same bytes, tag and canonical address, from the same path through the server."""
    answer, image = client.get(path), client.get(same)

    assert answer.status == 200
    assert size_of(answer) == size
    assert answer.body == image.body
    for name in set(image.headers) - {"Date", "Link", "X-Request-ID"}:
        assert answer.headers[name] == image.headers[name], name
    canonical = image.headers["Link"].partition(">")[0].removeprefix(f"<{client.server.url}")
    canonical = canonical.removeprefix("/iiif/3")
    assert answer.headers["Link"].startswith(f'<{client.server.url}{canonical}>;rel="canonical", ')
    assert "Vary" not in answer.headers


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/files:photo.jpg/thumbnail", (200, 143)),
        ("/files:photo.jpg/preview", (600, 429)),
        ("/low:photo.jpg/thumbnail", (140, 100)),
        ("/low:photo.jpg/preview", (140, 100)),
        ("/few:photo.jpg/preview", (118, 84)),
    ],
)
def test_sizes_are_configured_and_never_above_the_limits(narrow, path, size):
    answer = narrow.get(path)

    assert answer.status == 200
    assert size_of(answer) == size
    # Version 2 is the default here, so its canonical form is told.
    profile = path[1:].partition(":")[0]
    link = f'<{narrow.server.url}/{profile}:photo.jpg/full/{size[0]},/0/default.jpg>;rel="canonical"'
    assert answer.headers["Link"].startswith(link)
    assert narrow.get(f"/{profile}:photo.jpg/full/{size[0]},/0/default.jpg").body == answer.body


@pytest.mark.parametrize("path", ["/photo.jpg/thumbnail", "/photo.jpg/preview"])
def test_conditions_ranges_head_and_downloads_are_those_of_images(client, path):
    answer = client.get(path)
    tag = answer.headers["ETag"]

    assert client.get(path, If_None_Match=tag).status == 304
    assert client.get(path, If_Modified_Since=answer.headers["Last-Modified"]).status == 304
    assert client.get(path, If_Match='"other"').status == 412
    part = client.get(path, Range="bytes=5-9")
    assert (part.status, part.body) == (206, answer.body[5:10])
    assert client.get(path, Range="bytes=99999999-").status == 416
    head = client.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in set(answer.headers) - {"Date", "Content-Length", "X-Request-ID"}:
        assert head.headers[name] == answer.headers[name]
    assert answer.headers["Content-Disposition"].startswith('inline; filename="photo')
    saved = client.get(f"{path}?download")
    assert saved.body == answer.body
    assert saved.headers["Content-Disposition"].startswith('attachment; filename="photo')
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files:nothing.jpg/thumbnail", 404),
        ("/other:photo.jpg/preview", 404),
        ("/files:broken.jpg/preview", 422),
        ("/files:notes.txt/thumbnail", 422),
        ("/files:..%2Foutside.png/thumbnail", 404),
        ("/files:.hidden.png/preview", 404),
        ("/files:photo%/preview", 400),
        ("/photo.jpg;page=2/thumbnail", 404),
        ("/iiif/3/photo.jpg/thumbnail", 404),
        ("/iiif/2/photo.jpg/preview", 404),
        ("/photo.jpg/thumbnail/", 404),
    ],
)
def test_errors(client, path, status):
    answer = client.get(path)

    assert answer.status == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("accept", "shows"),
    [
        (None, False),
        ("*/*", False),
        (NAVIGATION, False),
        ("application/ld+json", False),
        ("application/json, image/*;q=0.5", False),
        ("image/png", False),
        ("image/*;q=0", False),
        ("image/*", True),
        ("image/jpeg", True),
        (IMAGE_TAG, True),
        ("image/jpeg, application/ld+json;q=0.9", True),
    ],
)
def test_the_bare_identifier_answers_those_who_prefer_an_image_with_one(client, accept, shows):
    answer = client.get("/photo.jpg", **({"Accept": accept} if accept else {}))

    assert answer.headers["Vary"] == "Accept"
    if shows:
        assert answer.status == 200
        assert answer.body == client.get("/photo.jpg/preview").body
    else:
        assert answer.status == 303
        assert answer.headers["Location"] == f"{client.server.url}/files:photo.jpg/info.json"
        assert json.loads(client.get("/files:photo.jpg/info.json").body)["width"] == 700


def test_every_answer_at_the_bare_identifier_varies(client):
    tag = client.get("/photo.jpg", Accept="image/*").headers["ETag"]
    current = client.get("/photo.jpg", Accept="image/*", If_None_Match=tag)
    head = client.ask("HEAD", "/photo.jpg", {"Accept": "image/*"})
    part = client.get("/photo.jpg", Accept="image/*", Range="bytes=0-1")
    missing = client.get("/nothing.jpg", Accept="image/*")

    assert [answer.status for answer in (current, head, part, missing)] == [304, 200, 206, 404]
    assert {answer.headers["Vary"] for answer in (current, head, part, missing)} == {"Accept"}


@pytest.mark.parametrize("number", [2, 3])
def test_the_versions_of_the_image_api_only_redirect(client, number):
    answer = client.get(f"/iiif/{number}/photo.jpg", Accept="image/*")

    assert answer.status == 303
    assert answer.headers["Location"] == f"{client.server.url}/iiif/{number}/files:photo.jpg/info.json"
    assert "Vary" not in answer.headers

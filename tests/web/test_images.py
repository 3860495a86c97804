"""Image requests over HTTP: status, headers, bytes."""

import io
import json

import pytest
from PIL import Image

PATH = "/files:photo.jpg/0,0,512,500/256,250/0/default.jpg"


def opened(body):
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def test_an_image_and_its_headers(client):
    answer = client.get("/iiif/3/photo.jpg/full/!300,300/90/default.png")

    image = opened(answer.body)
    base = f"{client.server.url}/iiif/3/files:photo.jpg"
    assert answer.status == 200
    assert (image.format, image.size) == ("PNG", (214, 300))
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Link"] == (
        f'<{base}/full/300,214/90/default.png>;rel="canonical", '
        '<http://iiif.io/api/image/3/level2.json>;rel="profile"'
    )
    assert answer.headers["Cache-Control"] == "max-age=0"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["ETag"].startswith('"')
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_the_same_bytes_under_every_equivalent_address(client):
    paths = [
        "/files:photo.jpg/0,0,350,500/175,/0/default.jpg",
        "/iiif/3/photo.jpg/pct:0,0,50,100/pct:50/360/color.jpg",
        "/files%3Aphoto.jpg/0,0,350,500/!175,9999/0/default.jpg",
        "/files:photo%2Ejpg/0,0,350,500/%5E175,250/0.0/default.jpg",
    ]
    answers = [client.get(path) for path in paths]

    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1


def test_version_2_has_its_own_sizes_and_canonical_form(client):
    third = client.get("/iiif/3/photo.jpg/full/350,250/0/default.jpg")
    second = client.get("/iiif/2/photo.jpg/full/350,250/0/default.jpg")
    base = f"{client.server.url}/iiif/2/files:photo.jpg"

    assert second.body == third.body
    assert second.headers["ETag"] == third.headers["ETag"]
    assert second.headers["Link"] == (
        f'<{base}/full/350,/0/default.jpg>;rel="canonical", '
        '<http://iiif.io/api/image/2/level2.json>;rel="profile"'
    )
    assert opened(client.get("/iiif/2/photo.jpg/full/full/0/default.jpg").body).size == (700, 500)
    assert opened(client.get("/iiif/2/photo.jpg/full/1400,/0/default.jpg").body).size == (1400, 1000)
    assert client.get("/iiif/2/photo.jpg/full/^max/0/default.jpg").status == 400
    assert client.get("/iiif/3/photo.jpg/full/full/0/default.jpg").status == 400


def test_a_current_copy_is_confirmed(client):
    first = client.get(PATH)
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]

    for headers in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
        {"If-None-Match": etag, "If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
    ):
        answer = client.ask("GET", PATH, headers)
        assert answer.status == 304, headers
        assert answer.body == b""
        assert answer.headers["ETag"] == etag
        assert "canonical" in answer.headers["Link"]


def test_a_stale_copy_is_replaced(client):
    modified = client.get(PATH).headers["Last-Modified"]
    for headers in (
        {"If-None-Match": '"something-else"'},
        {"If-None-Match": '"something-else"', "If-Modified-Since": modified},
        {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ):
        assert client.ask("GET", PATH, headers).status == 200, headers


def test_head_renders_nothing_and_says_the_same(client):
    path = "/files:photo.jpg/11,12,300,300/150,150/0/gray.jpg"
    head = client.ask("HEAD", path)
    get = client.get(path)

    assert head.status == 200
    assert head.body == b""
    for name in set(get.headers) - {"Date", "Content-Length", "X-Request-ID"}:
        assert head.headers[name] == get.headers[name]
    assert head.headers.get("Content-Length") in {None, str(len(get.body))}


@pytest.mark.parametrize(
    "name",
    [
        "a%2Fb%2Fdeep.png",
        "a%2fb%2fdeep.png",
        "with%20space.png",
        "%C3%A9t%C3%A9%20%E2%98%83.png",
        "files:one:two.png",
        "files%3Aone%3Atwo.png",
        "100%25.png",
        "q%3F%23%5B%5D%40%2B%26%3D.png",
        "q%3F%23%5B%5D@+&=.png",
        "%7Bx%7D.png",
    ],
)
def test_names_of_every_kind(client, name):
    answer = client.get(f"/iiif/3/{name}/full/max/0/default.png")

    assert answer.status == 200
    assert opened(answer.body).size == (70, 50)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files:photo.jpg/full/max/0/default.jxl", 400),
        ("/files:photo.jpg/full/max/0/native.jpg", 400),
        ("/files:photo.jpg/full/max/360.5/default.jpg", 400),
        ("/files:photo.jpg/full/max/45/default.jpg", 200),
        ("/files:photo.jpg/full/max/+90/default.jpg", 400),
        ("/files:photo.jpg/full/1e2,/0/default.jpg", 400),
        ("/files:photo.jpg/full/701,/0/default.jpg", 400),
        ("/files:photo.jpg/full/^99999,99999/0/default.jpg", 400),
        ("/files:photo.jpg/700,0,1,1/max/0/default.jpg", 400),
        ("/files:photo.jpg/pct:inf,0,1,1/max/0/default.jpg", 400),
        ("/files:photo.jpg/%D9%A3,0,1,1/max/0/default.jpg", 400),
        ("/files:photo.jpg/full/%ZZ/0/default.jpg", 400),
        ("/files:photo%/full/max/0/default.jpg", 400),
        ("/files:%FF/full/max/0/default.jpg", 400),
        ("/files:a%00b/full/max/0/default.jpg", 400),
        ("/files:nothing.jpg/full/max/0/default.jpg", 404),
        ("/other:photo.jpg/full/max/0/default.jpg", 404),
        (":photo.jpg/full/max/0/default.jpg", 400),
        ("/:photo.jpg/full/max/0/default.jpg", 404),
        ("/files:/full/max/0/default.jpg", 404),
        ("/files:photo.jpg/full/max/0/default", 400),
        ("/files:photo.jpg/full/max/0", 404),
        ("/files:a/full/max/0/default.jpg", 404),
        ("/files:broken.jpg/full/max/0/default.png", 422),
        ("/files:notes.txt/full/max/0/default.jpg", 422),
        ("/a/b/c/d/e/f/g/h", 404),
        ("/files:.hidden.png/full/max/0/default.jpg", 404),
        ("/files:leaving.png/full/max/0/default.jpg", 404),
        ("/files:staying.png/full/max/0/default.jpg", 200),
    ],
)
def test_errors_have_their_status_and_tell_no_secret(client, images, path, status):
    answer = client.get(path)

    assert answer.status == status
    if status == 200:
        return
    assert str(images.parent) not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    if path.startswith("/"):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.text) < 300


@pytest.mark.parametrize(
    "name",
    [
        "..%2Foutside.png",
        "..%2F..%2Foutside.png",
        "a%2F..%2F..%2Foutside.png",
        "%2Fetc%2Fpasswd",
        "%2e%2e%2Foutside.png",
        "..%252Foutside.png",
        "%252e%252e%2Foutside.png",
        "..",
        ".",
        "a%2F",
        "a%2F%2Fb%2Fdeep.png",
        "a%2F.%2Fb%2Fdeep.png",
        "..%5Coutside.png",
        "%C0%AE%C0%AE%2Foutside.png",
    ],
)
def test_no_name_leads_out_of_the_directory(client, name):
    for path in (
        f"/files:{name}/full/max/0/default.png",
        f"/iiif/3/files:{name}/info.json",
        f"/files:{name}",
    ):
        answer = client.get(path)
        assert answer.status in {400, 404}
        assert b"PNG" not in answer.body


def test_errors_are_json_for_those_who_ask(client):
    answer = client.get("/files:photo.jpg/full/max/0/default.jxl", Accept="application/json")

    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.text.startswith('{"error": "The format \'jxl\' is not valid')
    assert answer.headers["Vary"] == "Accept"


def test_preflight(client):
    answer = client.ask(
        "OPTIONS",
        PATH,
        {
            "Origin": "https://viewer.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Expose-Headers"] == "*"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(client, method):
    answer = client.ask(method, PATH, {"Content-Length": "0"})

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_an_upright_jpeg_at_full_size_is_the_stored_image_data(client, images):
    stored = (images / "photo.jpg").read_bytes()
    answer = client.get("/files:photo.jpg/full/max/0/default.jpg")

    scan = stored.index(b"\xff\xda")
    assert answer.body[answer.body.index(b"\xff\xda") :] == stored[scan:]


def test_a_turned_photograph_comes_upright(client):
    answer = client.get("/files:turned.jpg/full/max/0/default.jpg")

    assert opened(answer.body).size == (500, 700)
    assert opened(answer.body).getexif().get(0x0112) is None


def test_every_format_that_is_advertised_is_served(client):
    document = json.loads(client.get("/photo.jpg/info.json").body)
    names = {"webp": "WEBP", "tif": "TIFF", "gif": "GIF", "avif": "AVIF", "jp2": "JPEG2000"}

    assert set(document["extraFormats"]) >= {"gif", "pdf"}
    for extension in document["extraFormats"]:
        answer = client.get(f"/files:photo.jpg/full/!100,100/0/default.{extension}")
        assert answer.status == 200
        if extension == "pdf":
            assert answer.body.startswith(b"%PDF-")
        else:
            assert opened(answer.body).format == names[extension]
            assert opened(answer.body).size == (100, 71)
            assert answer.headers["Content-Type"] == Image.MIME[names[extension]]


def test_large_answers_come_whole_from_the_disk_cache(client):
    """An answer above a megabyte is sent from its file; the second time from the cache, the same bytes."""
    path = "/files:photo.jpg/full/^2000,1428/0/default.png"
    first = client.get(path)
    again = client.get(path)

    assert len(first.body) > 1 << 20
    assert again.body == first.body
    assert again.headers["Content-Length"] == str(len(first.body))
    assert opened(again.body).size == (2000, 1428)


def test_pages_of_a_file(client):
    """``;page=2`` at the end of the identifier is an image of its own."""
    first, second = (
        json.loads(client.get(f"/files:pages.tif{page}/info.json").body) for page in ("", ";page=2")
    )
    assert (first["width"], second["width"]) == (64, 128)
    assert second["id"].endswith("/files:pages.tif;page=2")
    for page, width, red in (("", 64, 50), (";page=1", 64, 50), ("%3Bpage%3D2", 128, 200)):
        answer = client.get(f"/files:pages.tif{page}/full/max/0/default.png")
        with Image.open(io.BytesIO(answer.body)) as image:
            assert image.size == (width, 48)
            assert image.getpixel((5, 5)) == (red, 0, 0)
    assert client.get("/files:pages.tif;page=3/info.json").status == 404
    assert client.get("/files:photo.jpg;page=2/full/max/0/default.jpg").status == 404

"""info.json over HTTP, the redirect to it, and the addresses in it."""

import gzip
import json
import zlib

import pytest

LD_JSON = 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'


V2_JSON_LD = 'application/ld+json;profile="http://iiif.io/api/image/2/context.json"'


@pytest.mark.parametrize("prefix", ["", "/iiif/3"])
def test_the_document(client, prefix):
    answer = client.get(f"{prefix}/photo.jpg/info.json")
    document = json.loads(answer.body)

    assert answer.status == 200
    assert document["id"] == f"{client.server.url}{prefix}/files:photo.jpg"
    assert (document["width"], document["height"]) == (700, 500)
    assert answer.headers["Link"] == '<http://iiif.io/api/image/3/level2.json>;rel="profile"'
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, LD_JSON),
        ("*/*", LD_JSON),
        ("application/ld+json", LD_JSON),
        (LD_JSON, LD_JSON),
        ("application/json", "application/json"),
        ("application/json, application/ld+json", LD_JSON),
        ("application/json, application/ld+json;q=0.9", "application/json"),
        ("application/json;q=0.5, */*;q=0.1", "application/json"),
        ("text/html", LD_JSON),
    ],
)
def test_the_media_type_is_negotiated(client, accept, content_type):
    answer = client.get("/photo.jpg/info.json", **({"Accept": accept} if accept else {}))

    assert answer.headers["Content-Type"] == content_type


def test_version_2_at_its_own_path(client):
    answer = client.get("/iiif/2/photo.jpg/info.json")
    document = json.loads(answer.body)

    assert document["@id"] == f"{client.server.url}/iiif/2/files:photo.jpg"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Link"] == (
        '<http://iiif.io/api/image/2/level2.json>;rel="profile", '
        '<http://iiif.io/api/image/2/context.json>;rel="http://www.w3.org/ns/json-ld#context";'
        'type="application/ld+json"'
    )
    linked = client.get("/iiif/2/photo.jpg/info.json", Accept="application/ld+json")
    assert linked.headers["Content-Type"] == "application/ld+json"
    assert linked.body == answer.body
    assert client.get("/iiif/2/photo.jpg").headers["Location"] == f"{document['@id']}/info.json"


def test_a_client_of_version_2_gets_its_document_at_the_root(client):
    answer = client.get("/photo.jpg/info.json", Accept=V2_JSON_LD)
    document = json.loads(answer.body)

    assert document["@id"] == f"{client.server.url}/iiif/2/files:photo.jpg"
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    both = client.get("/photo.jpg/info.json", Accept=f"{V2_JSON_LD}, {LD_JSON}")
    assert json.loads(both.body)["type"] == "ImageService3"
    explicit = client.get("/iiif/3/photo.jpg/info.json", Accept=V2_JSON_LD)
    assert json.loads(explicit.body)["type"] == "ImageService3"


def test_304_for_each_representation(client):
    ld = client.get("/photo.jpg/info.json").headers["ETag"]
    plain = client.get("/photo.jpg/info.json", Accept="application/json").headers["ETag"]

    assert ld != plain
    assert client.get("/photo.jpg/info.json", If_None_Match=ld).status == 304
    assert client.get("/photo.jpg/info.json", If_None_Match=plain).status == 200


def test_head(client):
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "deflate"}):
        head = client.ask("HEAD", "/photo.jpg/info.json", headers)
        get = client.ask("GET", "/photo.jpg/info.json", headers)

        assert head.status == 200
        assert head.headers["Content-Length"] == str(len(get.body))
        assert head.body == b""
        for name in set(get.headers) - {"Date", "X-Request-ID"}:
            assert head.headers[name] == get.headers[name]


CODINGS = [
    ("gzip, deflate, br, zstd", "gzip", gzip.decompress),
    ("deflate", "deflate", zlib.decompress),
    ("br, *;q=0.1", "gzip", gzip.decompress),
    ("identity;q=0, gzip;q=0.1", "gzip", gzip.decompress),
    ("gzip;q=0", None, bytes),
    ("identity, gzip;q=0.9", None, bytes),
    ("*;q=0", None, bytes),
    ("br", None, bytes),
    ("", None, bytes),
]


@pytest.mark.parametrize("path", ["/photo.jpg/info.json", "/iiif/2/photo.jpg/info.json"])
@pytest.mark.parametrize(("accept_encoding", "coding", "decode"), CODINGS)
def test_the_coding_is_negotiated(client, path, accept_encoding, coding, decode):
    plain = client.get(path)
    answer = client.get(path, Accept_Encoding=accept_encoding)

    assert len(plain.body) >= 512
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] == coding
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Content-Type"] == plain.headers["Content-Type"]
    assert decode(answer.body) == plain.body
    if coding:
        assert len(answer.body) < 0.7 * len(plain.body)


def test_each_coding_has_its_tag_and_each_tag_confirms_its_own(client):
    path = "/photo.jpg/info.json"
    accepts = ("", "gzip", "deflate")
    tags = {accept: client.get(path, Accept_Encoding=accept).headers["ETag"] for accept in accepts}

    assert len(set(tags.values())) == 3
    for accept in accepts:
        for owner, tag in tags.items():
            answer = client.get(path, Accept_Encoding=accept, If_None_Match=tag)
            assert answer.status == (304 if owner == accept else 200)
        # A shared cache that holds all of them is told which one this client may have.
        answer = client.get(path, Accept_Encoding=accept, If_None_Match=", ".join(tags.values()))
        assert answer.status == 304
        assert answer.body == b""
        assert answer.headers["ETag"] == tags[accept]
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        assert "Content-Encoding" not in answer.headers


def test_the_version_that_a_client_insists_on(client):
    path = "/photo.jpg/info.json"
    tag = client.get(path).headers["ETag"]

    assert client.get(path, If_Match=tag).status == 200
    assert client.get(path, If_Match='"other"').status == 412


@pytest.mark.parametrize(
    "path", ["/photo.jpg", "/iiif/3/photo.jpg", "/iiif/3/files:photo.jpg", "/files%3Aphoto.jpg"]
)
def test_the_base_uri_redirects(client, path):
    answer = client.get(path)

    prefix = "/iiif/3" if path.startswith("/iiif") else ""
    assert answer.status == 303
    assert answer.headers["Location"] == f"{client.server.url}{prefix}/files:photo.jpg/info.json"


def test_names_are_encoded_in_the_id_and_the_id_works(client):
    document = json.loads(client.get("/a%2Fb%2Fdeep.png/info.json").body)

    assert document["id"] == f"{client.server.url}/files:a%2Fb%2Fdeep.png"
    assert client.get(document["id"].removeprefix(client.server.url) + "/info.json").status == 200


def test_the_orientation_is_in_the_size(client):
    document = json.loads(client.get("/turned.jpg/info.json").body)

    assert (document["width"], document["height"]) == (500, 700)


def test_a_gray_image_offers_no_color(client):
    assert json.loads(client.get("/gray.png/info.json").body)["extraQualities"] == ["gray", "bitonal"]


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "x<script>", "", "[::1", "host:999999"])
def test_a_host_that_is_none_is_refused_or_never_repeated(client, host):
    answer = client.ask("GET", "/photo.jpg/info.json", {"Host": host})

    assert answer.status == 400


def test_a_strange_host_changes_nothing_for_the_next_client(client):
    strange = client.ask("GET", "/photo.jpg/info.json", {"Host": "evil.example"})

    assert json.loads(strange.body)["id"].startswith("http://evil.example/")
    assert json.loads(client.get("/photo.jpg/info.json").body)["id"].startswith(client.server.url)


def test_forwarded_headers_of_strangers_are_ignored(client):
    answer = client.get(
        "/photo.jpg/info.json",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
        X_Forwarded_Prefix="/x",
    )

    assert json.loads(answer.body)["id"] == f"{client.server.url}/files:photo.jpg"


def test_every_size_and_tile_advertised_is_what_it_says(client):
    document = json.loads(client.get("/photo.jpg/info.json").body)

    assert document["sizes"][-1] == {"width": 700, "height": 500}
    assert document["tiles"] == [{"width": 512, "height": 512, "scaleFactors": [1, 2]}]


@pytest.mark.parametrize("version", ["", "iiif/2/", "iiif/3/"])
def test_stored_tiles_are_offered(client, version):
    """Their size, and the scale factors at which the image is more than one of them."""
    tiles = json.loads(client.get(f"/{version}files:tiled.tif/info.json").body)["tiles"]

    assert tiles == [{"width": 240, "height": 256, "scaleFactors": [1, 2, 4]}]

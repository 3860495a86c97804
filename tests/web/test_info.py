"""info.json over HTTP, the redirect to it, and the addresses in it."""

import json

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
    assert answer.headers["Vary"] == "Accept"
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
    assert answer.headers["Vary"] == "Accept"
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
    head, get = client.ask("HEAD", "/photo.jpg/info.json"), client.get("/photo.jpg/info.json")

    assert head.status == 200
    assert head.headers["Content-Length"] == str(len(get.body))
    assert head.body == b""


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

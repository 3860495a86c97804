"""The real application over the museum's services."""

import io
import json
import urllib.request
from pathlib import Path

import pytest
from fake_museum import GUID, IRN
from iiif_server.testing import draw_image, encode
from PIL import Image
from ruamel.yaml import YAML

PICTURE = draw_image(GUID, 800, 600)
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def app(iiif_app, museum):
    return lambda **settings: iiif_app(museum.with_options(source_check_interval=0), **settings)


@pytest.fixture
def image(services):
    small = encode(PICTURE.picture.resize((400, 300)), "JPEG")
    return services.add(
        PICTURE.original,
        width=800,
        height=600,
        derivatives={"400.jpg": (400, 300, small)},
        old_asset_id="Asset-7",
    )


async def test_a_thumbnail_comes_from_a_derivative(services, image, app):
    async with app() as server:
        answer = await server.get(f"/mss:{GUID}/full/200,/0/default.png")

    assert Image.open(io.BytesIO(answer.body)).size == (200, 150)
    assert any(path.endswith("/400.jpg") for path, *_ in services.requests)
    assert services.asked["file"] == 1


async def test_a_wrong_size_in_the_catalogue_gives_no_wrong_pixels(services, app):
    services.add(PICTURE.original, width=600, height=800)
    async with app() as server:
        tile = await server.get(f"/mss:{GUID}/600,400,200,200/max/0/default.png")
        assert tile.status == 400  # outside of what the catalogue says
        whole = await server.get(f"/mss:{GUID}/full/max/0/default.png")
        tile = await server.get(f"/mss:{GUID}/600,400,200,200/max/0/default.png")
        document = (await server.get(f"/mss:{GUID}/info.json")).json()

    assert Image.open(io.BytesIO(whole.body)).tobytes() == PICTURE.picture.tobytes()
    assert Image.open(io.BytesIO(tile.body)).tobytes() == (
        PICTURE.picture.crop((600, 400, 800, 600)).tobytes()
    )
    assert (document["width"], document["height"]) == (800, 600)


async def test_what_is_withdrawn_is_gone(services, image, app):
    async with app() as server:
        path = f"/mss:{GUID}/full/200,/0/default.png"
        assert (await server.get(path)).status == 200
        services.refused[str(IRN)] = 403

        assert (await server.get(path)).status == 404


async def test_an_outage_is_told_as_one(services, image, app):
    services.failing["search"] = 500
    async with app() as server:
        answer = await server.get(f"/mss:{GUID}/info.json")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.body.decode() == f"Failed to retrieve the requested image data for {GUID}\n"


@pytest.mark.parametrize(
    ("keys", "location"),
    [
        ({}, f"/mss:{GUID}"),
        ({"default_profile": "mss"}, f"/{GUID}"),
        ({"base_url": "https://data.example.org/media"}, f"https://data.example.org/media/mss:{GUID}"),
    ],
)
async def test_an_old_asset_leads_to_its_image(services, image, app, keys, location):
    async with app(**keys) as server:
        answer = await server.get("/mam/Asset-7")

        assert answer.status == 307
        assert answer.headers["Location"].removeprefix(server.url) == location
    assert services.requests[-1][2]["query"]["bool"]["filter"] == [
        {"term": {"data.old_asset_id._k": "Asset-7"}}
    ]


@pytest.mark.parametrize("asset_id", ["unknown", "twice", "%00", "a%2Fb"])
async def test_an_asset_without_a_single_image_is_not_found(services, image, app, asset_id):
    for number in (5, 6):
        services.add(b"", guid=f"g{number}", irn=number, old_asset_id="twice")
    async with app() as server:
        assert (await server.get(f"/mam/{asset_id}")).status == 404


async def test_an_outage_is_no_unknown_asset(services, image, app):
    services.failing["search"] = 500
    async with app() as server:
        assert (await server.get("/mam/Asset-7")).status == 503


async def test_an_image_called_mam_is_there(services, iiif_app, museum):
    services.add(PICTURE.original, guid="mam", width=800, height=600)
    async with iiif_app(museum, default_profile="mss") as server:
        assert (await server.get("/mam/info.json")).json()["width"] == 800


async def test_the_plain_form(services, iiif_app, iiif_profile):
    services.add(PICTURE.original, irn=0)
    services.files["known.jpg"] = services.files.pop("0/original.tif")
    profile = iiif_profile("mss", url=f"{services.url}/images/{{name}}.jpg")
    async with iiif_app(profile) as server:
        document = (await server.get("/mss:known/info.json")).json()
        missing = await server.get("/mss:unknown/info.json")
        services.failing["stamp"] = 403
        refused = await server.get("/mss:other/info.json")

    assert (document["width"], missing.status, refused.status) == (800, 404, 503)
    assert services.asked["search"] == 0


def test_the_example_of_the_readme_is_served(services, image, iiif_process, tmp_path):
    """As an operator would, by the installed command."""
    text = README.read_text().split("```yaml\n")[1].split("```")[0]
    entry = YAML(typ="safe").load(text)
    entry["profiles"]["mss"] |= {"es_hosts": [services.url], "mss_url": services.url}
    entry |= {"source_path": str(tmp_path / "s"), "cache_path": str(tmp_path / "c"), "base_url": None}
    path = tmp_path / "config.yaml"
    with path.open("w") as file:
        YAML().dump(entry, file)
    server = iiif_process.serve("--config", str(path))

    with urllib.request.urlopen(server.url + f"/{GUID}/info.json", timeout=20) as answer:
        assert json.load(answer)["width"] == 800

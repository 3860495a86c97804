"""Two profiles on one directory, one of which says all that may be said; then the top level says it."""

import io
import json

import pytest
from PIL import Image

from iiif_server.iiif.parameters import Format, Quality
from iiif_server.imaging.encode import available_formats, encoded
from iiif_server.imaging.tasks import RenderSettings
from tests.support.server import serve_command
from tests.web.conftest import Client

DEFAULTS = """\
jpeg_quality: 85
jpeg_progressive: false
jpeg_subsampling: "4:2:0"
png_compression: 3
webp_quality: 80
webp_effort: 2
avif_quality: 60
avif_effort: 0
jp2_quality: 65
tif_compression: deflate
background: "#ffffff"
max_width: 1000000
max_height: 1000000
max_area: 100000000
preferred_formats: []
"""
OTHER = """\
jpeg_quality: 30
jpeg_progressive: true
jpeg_subsampling: "4:4:4"
png_compression: 0
webp_quality: 20
webp_effort: 6
avif_quality: 25
avif_effort: 2
jp2_quality: 30
tif_compression: lzw
background: "#00ff00"
max_width: 300
max_height: 250
max_area: 50000
preferred_formats: [webp, png]
"""
SETTINGS = {
    "default": RenderSettings(),
    "other": RenderSettings(
        jpeg_quality=30,
        jpeg_progressive=True,
        jpeg_subsampling=0,
        png_compression=0,
        webp_quality=20,
        webp_effort=6,
        avif_quality=25,
        avif_effort=2,
        jp2_quality=30,
        tif_compression="lzw",
        background=(0, 255, 0),
    ),
}
PROFILE = "  {name}:\n    type: disk\n    rights: x\n    path: {images}\n"


def started(factory, directory, images, top, **profiles):
    text = f"cache_path: {directory / 'cache'}\n{top}profiles:\n"
    for name, options in profiles.items():
        text += PROFILE.format(name=name, images=images)
        text += "".join(f"    {line}\n" for line in options.splitlines())
    path = directory / "config.yaml"
    path.write_text(text)
    return Client(factory.command(serve_command("--config", str(path))))


@pytest.fixture(scope="module")
def clients(module_server, images, tmp_path_factory):
    """Said in a profile beside one that says nothing; said at the top level, where one says it back."""
    Image.new("RGBA", (300, 200), (200, 0, 0, 100)).save(images / "clear.png")
    beside = {
        "default": "",
        "other": OTHER,
        "keeping": "metadata: keep\n",
        "coarse": "jpeg_quality: 10\njpeg_progressive: true\n",
        "nulls": "max_area: null\n",
        "scaled": "physical_scale: true\n",
    }
    back = {"other": "", "default": DEFAULTS}
    return {
        "profile": started(module_server, tmp_path_factory.mktemp("profile"), images, "", **beside),
        "top": started(module_server, tmp_path_factory.mktemp("top"), images, OTHER, **back),
    }


@pytest.fixture
def by_profile(clients):
    return clients["profile"]


@pytest.fixture(params=["profile", "top"])
def client(request, clients):
    return clients[request.param]


def information(client, profile, version=3, name="photo.jpg"):
    return json.loads(client.get(f"/iiif/{version}/{profile}:{name}/info.json").body)


@pytest.mark.parametrize("name", ["photo.jpg", "clear.png"])
@pytest.mark.parametrize("target", available_formats())
def test_every_format_is_encoded_as_its_profile_says(client, target, name):
    """To the byte: the pixels are known from a PNG, which loses none of them."""
    path = f"{name}/full/200,/0/default"
    pixels = Image.open(io.BytesIO(client.get(f"/default:{path}.png").body))
    bodies = {}
    for profile, settings in SETTINGS.items():
        answer = client.get(f"/{profile}:{path}.{target}")
        assert answer.status == 200
        assert answer.body == encoded(pixels, Quality.DEFAULT, target, settings)
        bodies[profile] = answer.body
    assert (bodies["default"] != bodies["other"]) == (target is not Format.GIF)


def test_etags_differ_between_profiles_and_between_settings(clients):
    path = "photo.jpg/full/200,/0/default.jpg"
    tags = {
        client.get(f"/{profile}:{path}").headers["ETag"]
        for client in clients.values()
        for profile in ("default", "other")
    }

    assert len(tags) == 2  # one for each profile: the settings are the same, wherever they were said
    keeping = clients["profile"].get(f"/keeping:{path}").headers["ETag"]
    assert keeping not in tags


@pytest.mark.parametrize("version", [2, 3])
def test_limits_are_stated_and_enforced_in_every_version(client, version):
    stated = information(client, "other", version)
    maxima = stated if version == 3 else stated["profile"][1]
    assert (maxima["maxWidth"], maxima["maxHeight"], maxima["maxArea"]) == (300, 250, 50_000)
    assert "tiles" not in stated

    for profile, expected in (("other", (264, 189)), ("default", (700, 500))):
        answer = client.get(f"/iiif/{version}/{profile}:photo.jpg/full/max/0/default.jpg")
        assert Image.open(io.BytesIO(answer.body)).size == expected
    for size in ("301,10", "10,251", "290,200"):  # too wide, too high, too large
        path = f"photo.jpg/full/{size}/0/default.jpg"
        assert client.get(f"/iiif/{version}/other:{path}").status == 400
        assert client.get(f"/iiif/{version}/default:{path}").status == 200
    assert client.get(f"/iiif/{version}/other:photo.jpg/full/300,160/0/default.jpg").status == 200


@pytest.mark.parametrize("version", [2, 3])
def test_null_is_the_top_levels_value(by_profile, version):
    stated = information(by_profile, "nulls", version)

    assert (stated if version == 3 else stated["profile"][1])["maxArea"] == 100_000_000


def test_preferred_formats_are_stated(client):
    assert information(client, "other")["preferredFormats"] == ["webp", "png"]
    assert "preferredFormats" not in information(client, "default")


def test_jpeg_data_that_is_passed_on_stays_as_it_is(by_profile):
    """As the options say themselves, and docs/adr/0003; part of it at another size is encoded."""
    path = "photo.jpg/full/{}/0/default.jpg"
    for size, same in (("max", True), ("200,", False)):
        default, coarse = (by_profile.get(f"/{name}:{path.format(size)}") for name in ("default", "coarse"))
        assert (default.body == coarse.body) is same
        assert default.headers["ETag"] != coarse.headers["ETag"]


@pytest.mark.parametrize("version", [2, 3])
def test_the_physical_scale_is_that_of_the_file(clients, images, version):
    """508 pixels per inch are 20 in a millimetre; a file that says nothing has none."""
    Image.new("RGB", (30, 20)).save(images / "scanned.png", dpi=(508, 508))
    Image.new("RGB", (30, 20)).save(images / "uneven.png", dpi=(508, 254))
    client = clients["profile"]

    (service,) = information(client, "scaled", version, "scanned.png")["service"]
    assert service["profile"] == "http://iiif.io/api/annex/services/physdim"
    assert (round(service["physicalScale"], 4), service["physicalUnits"]) == (0.05, "mm")
    assert "service" not in information(client, "scaled", version, "uneven.png")
    assert "service" not in information(client, "scaled", version, "photo.jpg")
    assert "service" not in information(client, "default", version, "scanned.png")


def test_links_and_what_is_in_them(server, images, tmp_path):
    links = """\
part_of:
  - id: "{base_url}/manifests/{identifier}.json"
    type: Manifest
    label: {en: ["Where it is from"]}
see_also: [{id: "https://catalogue.example.org/{name}.xml", type: Dataset, format: text/xml}]
service:
  - "@context": http://iiif.io/api/auth/1/context.json
    "@id": https://example.org/login?image={id}
    "@type": AuthCookieService1
    profile: http://iiif.io/api/auth/1/login
"""
    client = started(server, tmp_path, images, "", linked=links, plain="")
    name = "a%2Fb%2Fdeep.png"
    third, second = (information(client, "linked", version, name) for version in (3, 2))

    assert third["partOf"] == [
        {
            "id": f"{client.server.url}/manifests/linked:{name}.json",
            "type": "Manifest",
            "label": {"en": ["Where it is from"]},
        }
    ]
    assert third["seeAlso"][0]["id"] == f"https://catalogue.example.org/{name}.xml"
    for version, stated in ((3, third), (2, second)):
        image_id = f"{client.server.url}/iiif/{version}/linked:{name}"
        assert stated["service"][0]["@id"] == f"https://example.org/login?image={image_id}"
    assert not second.keys() & {"partOf", "seeAlso"}
    for version in (2, 3):
        assert not information(client, "plain", version).keys() & {"partOf", "seeAlso", "service"}

"""What info.json states: of the image, of its profile, and of what is linked to."""

import json
from dataclasses import replace

import pytest

from iiif_server.api import ImageInfo
from iiif_server.iiif import v2, v3
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.documents import DocumentService
from iiif_server.services.image_requests import RenderRules
from iiif_server.services.infos import InfoService
from tests.services.test_infos import FakeProfile

RULES = RenderRules(
    Limits(max_area=10_000), RenderSettings(), frozenset({Format.JPG, Format.PNG, Format.WEBP}), "codecs"
)
PART_OF = ({"id": "{base_url}/manifests/{name}?of={id}", "type": "Manifest"},)


class ResolvingProfile(FakeProfile):
    resolution: float | None = 254.0

    async def get_info(self, name):
        return ImageInfo(name, 10, 10, "1", resolution=self.resolution)


@pytest.fixture
def ask(tmp_path):
    async def ask(
        name="a.jpg",
        base="https://example.org",
        api=v3.API,
        *,
        base_url=None,
        path="",
        rules=RULES,
        **options,
    ):
        identifier = Identifier("fake", name)
        profile = ResolvingProfile(tmp_path, **options)
        service = DocumentService(
            InfoService(ProfileRegistry({"fake": profile})), {"fake": rules}, 200, base_url
        )
        return json.loads((await service.info(identifier, f"{base}{path}/{identifier}", api)).body)

    return ask


async def test_preferred_formats(ask):
    assert "preferredFormats" not in await ask()
    stated = await ask(rules=replace(RULES, preferred_formats=(Format.WEBP, Format.JPG)))
    assert stated["preferredFormats"] == ["webp", "jpg"]


async def test_links_are_filled_in_for_the_image(ask):
    options = {
        "part_of": PART_OF,
        "see_also": ({"id": "https://example.org/{profile}/{name}.xml", "type": "Dataset"},),
        "service": ({"@id": "{id}/s", "@type": "Service", "label": "{{{identifier}}}"},),
    }
    stated = await ask("a b/é.jpg", **options)

    image_id = "https://example.org/fake:a%20b%2F%C3%A9.jpg"
    name = "a%20b%2F%C3%A9.jpg"
    assert stated["partOf"] == [
        {"id": f"https://example.org/manifests/{name}?of={image_id}", "type": "Manifest"}
    ]
    assert stated["seeAlso"] == [{"id": f"https://example.org/fake/{name}.xml", "type": "Dataset"}]
    assert stated["service"] == [{"@id": f"{image_id}/s", "@type": "Service", "label": f"{{fake:{name}}}"}]
    assert (await ask("other.jpg", **options))["seeAlso"][0]["id"] == "https://example.org/fake/other.jpg.xml"


@pytest.mark.parametrize(
    ("base", "path", "base_url", "expected"),
    [
        ("https://example.org", "", None, "https://example.org"),
        ("https://example.org/media", "/iiif/3", None, "https://example.org/media"),
        # The configured address is known, and may itself look like a version's path.
        ("https://example.org/iiif/3", "", "https://example.org/iiif/3", "https://example.org/iiif/3"),
        ("https://example.org/iiif/3", "/iiif/3", "https://example.org/iiif/3", "https://example.org/iiif/3"),
    ],
)
async def test_the_base_url_is_the_servers_whatever_version_was_asked(ask, base, path, base_url, expected):
    stated = await ask(base=base, path=path, base_url=base_url, part_of=PART_OF)

    assert stated["partOf"][0]["id"].startswith(f"{expected}/manifests/a.jpg?of={base}{path}/fake:a.jpg")


async def test_version_2_has_services(ask):
    service = {"@id": "{base_url}/login", "@type": "AuthCookieService1"}
    stated = await ask(api=v2.API, path="/iiif/2", part_of=PART_OF, service=(service,))

    assert stated["service"] == [{"@id": "https://example.org/login", "@type": "AuthCookieService1"}]
    assert "partOf" not in stated


@pytest.mark.parametrize("api", [v2.API, v3.API])
async def test_the_physical_scale_is_stated_on_request_where_it_is_known(ask, api, monkeypatch):
    assert "service" not in await ask(api=api)
    (service,) = (await ask(api=api, physical_scale=True))["service"]
    assert (service["physicalScale"], service["physicalUnits"]) == (0.1, "mm")

    monkeypatch.setattr(ResolvingProfile, "resolution", None)
    assert "service" not in await ask(api=api, physical_scale=True)

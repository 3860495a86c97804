"""Connections to the services: whose certificate is believed, and how many there are."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest
from fake_museum import GUID, IRN, TLS, File
from iiif_server.api import IIIFServerError
from iiif_server.testing import draw_image

IMAGE = draw_image(GUID, 80, 60).original


@pytest.fixture
def original(services):
    return services.add(IMAGE, width=80, height=60)


@pytest.fixture
def in_the_dams(services, original):
    """The store does not have the file; the DAMS does, encrypted."""
    services.files.clear()
    services.damsurls[str(IRN)] = f"{services.https_url}/dams/x.tif"
    services.dams["x.tif"] = File(IMAGE)


async def failure(profile):
    with pytest.raises(IIIFServerError) as caught:
        await profile.get_info(GUID)
    return caught.value


async def test_an_unknown_authority_of_the_store_is_an_outage(services, original, museum):
    async with museum.with_options(mss_url=services.https_url, dams_ssl=False).live() as profile:
        error = await failure(profile)

    assert error.status == 503
    assert "ertificate" in error.log
    assert services.asked["access"] == services.asked["stamp"] == 0


async def test_the_store_is_believed_unseen_if_the_options_say_so(services, original, museum):
    async with museum.with_options(mss_url=services.https_url, mss_ssl=False).live() as profile:
        assert (await profile.get_info(GUID)).width == 80


async def test_an_unknown_authority_of_the_dams_is_an_outage(services, in_the_dams, museum):
    async with museum.with_options(mss_ssl=False).live() as profile:
        error = await failure(profile)

    assert error.status == 503
    assert "ertificate" in error.log
    assert services.asked["dams"] == 0


async def test_the_dams_is_believed_unseen_if_the_options_say_so(services, in_the_dams, museum):
    async with museum.with_options(dams_ssl=False).live() as profile:
        assert (await profile.get_info(GUID)).width == 80


async def test_an_unknown_authority_of_a_plain_address_is_an_outage(services, iiif_profile):
    services.files["known.jpg"] = File(IMAGE)
    address = f"{services.https_url}/images/{{name}}.jpg"
    for options, is_served in (({}, False), ({"mss_ssl": False}, True)):
        async with iiif_profile("mss", url=address, **options).live() as profile:
            if is_served:
                assert (await profile.get_info("known")).width == 80
            else:
                with pytest.raises(IIIFServerError) as caught:
                    await profile.get_info("known")
                assert caught.value.status == 503


async def test_an_unknown_authority_of_elasticsearch_is_an_outage(services, original, museum):
    async with museum.with_options(es_hosts=[services.https_url]).live() as profile:
        assert (await failure(profile)).status == 503

    assert services.asked["search"] == 0


def test_a_known_authority_is_believed(services, in_the_dams, iiif_process, tmp_path, monkeypatch):
    """Of all three services; the process is told of it as OpenSSL is."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    options = {"es_hosts": [services.https_url], "mss_url": services.https_url}
    profile = {"type": "mss", "rights": "http://example.org/r", **options}
    config = {"image_pool_size": 1, "cache_path": "cache", "source_path": "s", "profiles": {"mss": profile}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    server = iiif_process.serve("--config", str(tmp_path / "config.yaml"))
    with urllib.request.urlopen(f"{server.url}/mss:{GUID}/info.json", timeout=20) as answer:
        assert json.load(answer)["width"] == 80

    assert services.asked["search"] == services.asked["access"] == 1
    assert services.requests[-1][0] == "/dams/x.tif"


@pytest.mark.parametrize(("option", "kind", "limit"), [("es_limit", "search", 2), ("dams_limit", "dams", 1)])
async def test_connections_are_limited(services, museum, option, kind, limit):
    for number in range(6):
        services.add(IMAGE, guid=f"g{number}", irn=number)
        services.damsurls[str(number)] = f"{services.url}/dams/x.tif"
    services.files.clear()
    services.dams["x.tif"] = File(IMAGE)
    services.pauses[kind] = 0.05
    async with museum.with_options(**{option: limit}).live() as profile:
        await asyncio.gather(*(profile.get_info(f"g{number}") for number in range(6)))

    assert services.most[kind] == limit

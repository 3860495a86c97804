"""Certificates: of whom, for whom, and whether it matters.

``tls/origin.pem`` is a key that protects nothing, with its own certificate for ``origin.test``,
from 2020 to 2120.
"""

import ssl
from pathlib import Path

import pytest
from http_origin import image, running_origin
from test_http_names import FakeResolver

from iiif_server.api import UpstreamFailed
from iiif_server.testing import draw_image

FILES = Path(__file__).parent / "tls"
AUTHORITY = str(FILES / "authority.pem")
IMAGE = draw_image("known", 30, 20).original


@pytest.fixture
async def origin():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FILES / "origin.pem")
    async with running_origin(context) as origin:
        origin.pages["/image"] = image(IMAGE)
        yield origin


@pytest.fixture
def encrypted(http_profile, origin, monkeypatch):
    """A profile whose origin has a certificate, at two names."""
    resolver = FakeResolver()
    resolver.answers = {"origin.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    monkeypatch.setattr("iiif_server_http.guard.ThreadedResolver", lambda: resolver)

    def set_up(host="origin.test", **options):
        return http_profile(url=f"https://{host}:{origin.port}/{{name}}", **options)

    return set_up


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("origin.test", {"ca_file": AUTHORITY}),
        ("origin.test", {"verify_tls": False}),
        ("other.test", {"verify_tls": False}),
    ],
)
async def test_who_is_trusted(encrypted, host, options):
    async with encrypted(host, **options).live() as live:
        assert (await live.get_info("image")).width == 30


@pytest.mark.parametrize(("host", "options"), [("origin.test", {}), ("other.test", {"ca_file": AUTHORITY})])
async def test_who_is_not(encrypted, origin, host, options):
    """An unknown authority, and a certificate for another name."""
    async with encrypted(host, **options).live() as live:
        with pytest.raises(UpstreamFailed) as caught:
            await live.get_info("image")

    assert "ertificate" in caught.value.log
    assert origin.requests == []


async def test_a_relative_file_begins_at_the_configuration(encrypted, tmp_path):
    (tmp_path / "ca.pem").write_bytes((FILES / "authority.pem").read_bytes())
    async with encrypted(ca_file="ca.pem").live() as live:
        assert await live.get_info("image")

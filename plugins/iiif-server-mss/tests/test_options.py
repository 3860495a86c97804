"""The keys of a configuration, their defaults, and what is said of mistakes."""

import asyncio
from pathlib import Path

import pytest
from iiif_server.api import ProfileOptions

from iiif_server_mss import MssOptions

README = Path(__file__).parents[1] / "README.md"
MUSEUM = {"es_hosts": ["http://es.example.org:9200"], "mss_url": "https://mss.example.org"}
DEFAULTS = {
    "mss_ssl": True,
    "mss_index": "data-mss-latest",
    "mss_limit": 10,
    "es_limit": 10,
    "info_cache_size": 100_000,
    "info_cache_ttl": 43_200,
    "info_lock_ttl": 60,
    "source_cache_size": 268_435_456,
    "source_cache_ttl": 43_200,
    "convert_quality": 85,
    "convert_subsampling": "4:2:0",
    "dams_limit": 4,
    "dams_ssl": True,
    "recheck_interval": 3600,
}


async def options(iiif_profile, **entry):
    return await asyncio.to_thread(lambda: iiif_profile("mss", **entry).options)


async def test_defaults(iiif_profile):
    found = await options(iiif_profile, **MUSEUM)

    assert {name: getattr(found, name) for name in DEFAULTS} == DEFAULTS


async def test_the_form_of_the_first_configurations(iiif_profile):
    found = await options(iiif_profile, url="http://example.com/storage/images/{name}.jpg")

    assert found.url == "http://example.com/storage/images/{name}.jpg"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({}, "'es_hosts' and 'mss_url', or 'url'"),
        ({"es_hosts": ["http://a"]}, "'es_hosts' and 'mss_url', or 'url'"),
        ({"mss_url": "http://a"}, "'es_hosts' and 'mss_url', or 'url'"),
        (MUSEUM | {"url": "http://a/{name}"}, "either 'url', or"),
        (MUSEUM | {"mss_url": "mss.example.org"}, "want an address with its scheme"),
        (MUSEUM | {"mss_url": "http://a/nhmlive"}, "scheme and host only"),
        (MUSEUM | {"es_hosts": ["es:9200"]}, "want an address with its scheme"),
        ({"url": "http://a/b.jpg"}, "{name}"),
        ({"url": "http://a/{name}/{name}"}, "{name}"),
        ({"url": "http://{name}.example.org/"}, "behind the host"),
        (MUSEUM | {"convert_subsampling": "4:1:1"}, "4:2:0"),
        (MUSEUM | {"mss_limit": 0}, "mss_limit"),
        (MUSEUM | {"collection_indices": ["a"]}, "unknown key"),
    ],
)
async def test_mistakes(iiif_profile, entry, says):
    with pytest.raises(Exception, match=r"profiles\.mss") as caught:
        await options(iiif_profile, **entry)

    assert says in str(caught.value)


def test_the_readme_has_every_option_with_its_default():
    text = README.read_text()
    own = MssOptions.model_fields.keys() - ProfileOptions.model_fields.keys()
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}

    assert rows.keys() == own
    for name, value in DEFAULTS.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        assert f"| `{shown}` |" in rows[name]
    for name, row in rows.items():
        assert MssOptions.model_fields[name].description in row

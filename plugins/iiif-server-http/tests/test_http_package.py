"""The package: what it imports, what its README says, and how its options are checked."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from http_hostile import KINDS
from iiif_server_http import HttpOptions

from iiif_server.api import ProfileOptions
from iiif_server.testing import ProfileSetup

HERE = Path(__file__).parent.parent
README = (HERE / "README.md").read_text(encoding="utf-8")
OWN = {
    name: field for name, field in HttpOptions.model_fields.items() if name not in ProfileOptions.model_fields
}


def default(value: object) -> str:
    """A default as people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and value >= 1 << 30:
        return f"{value >> 30} GiB" if isinstance(value, int) else str(value)
    return f"{value:g}" if isinstance(value, int | float) else str(value) if value else "none"


def test_the_readme_has_every_option():
    """Name, default and description, in order. What is missing can be copied from the failure."""
    expected = [
        f"| `{name}` | {default(field.get_default(call_default_factory=True))} | {field.description} |"
        for name, field in OWN.items()
    ]
    table = README.partition("\n## Options\n")[2].partition("\n## ")[0]

    assert [line for line in table.splitlines() if line.startswith("| `")] == expected


def test_the_readme_has_every_hostile_origin():
    table = README.partition("\n## Hostile origins\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if re.match(r"\| .* \| \d{3} \|", line)]

    assert rows == [f"| {name} | {kind.outcome} |" for name, kind in KINDS.items()]
    assert len(KINDS) >= 29


def test_it_is_found_where_it_is_installed(iiif_profile):
    """By its entry point; the tests run against the installed distribution."""
    entries = importlib.metadata.entry_points(group="iiif_server", name="http")

    assert [entry.value for entry in entries] == ["iiif_server_http"]
    setup: ProfileSetup = iiif_profile("http", url="https://images.example.org/{name}.jpg")
    assert isinstance(setup.options, HttpOptions)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "want either url or allow"),
        ({"url": "https://a.org/{name}", "allow": ["https://a.org/"]}, "want either url or allow"),
        ({"url": "https://a.org/"}, "want {name} or {path} once"),
        ({"url": "https://{name}/"}, "want {name} or {path} once"),
        ({"url": "ftp://a.org/{name}"}, "want an http or https URL"),
        ({"url": "https://u:p@a.org/{name}"}, "without credentials"),
        ({"allow": ["https://a.org/pub"]}, "end with a slash"),
        ({"allow": ["a.org/"]}, "want an http or https URL"),
        ({"url": "https://a.org/{name}", "allow_redirects": ["https://b.org/?x/"]}, "end with a slash"),
        ({"url": "https://a.org/{name}", "allow_private": ["10.0.0.1/8"]}, "host bits"),
        ({"url": "https://a.org/{name}", "headers": {"Host": "b.org"}}, "can't send the header 'Host'"),
        ({"url": "https://a.org/{name}", "headers": {"A b": "c"}}, "can't send the header 'A b'"),
        ({"url": "https://a.org/{name}", "headers": {"A": "b\r\nC: d"}}, "want printable ASCII"),
        ({"url": "https://a.org/{name}", "user_agent": "a\nb"}, "want printable ASCII"),
        ({"allow": ["https://a.org/", "https://b.org/"], "headers": {"A": "b"}}, "a profile for each origin"),
        ({"url": "https://a.org/{name}", "remember_failures": 6}, "at most 5"),
        ({"url": "https://a.org/{name}", "connections": 0}, "at least 1"),
        ({"url": "https://a.org/{name}", "ca_file": "none.pem"}, "want a file of certificates"),
    ],
)
def test_a_mistake_is_explained(http_type, iiif_profile, options, words):
    setup = iiif_profile(http_type, **options)
    with pytest.raises(Exception, match=re.escape(words)) as caught:
        assert setup.options
    assert type(caught.value).__name__ == "ConfigurationError"
    assert "profiles.http" in str(caught.value)

"""Templates of links: what may stand in them, and what becomes of it."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.iiif.links import (
    PLACEHOLDERS,
    Links,
    check_template,
    check_uri_template,
    physical_dimensions,
    placeholder_values,
)
from iiif_server.iiif.uri import Identifier

VALUES = placeholder_values(
    Identifier("files", "a b/c.jpg", 2),
    "https://example.org/iiif/3/files:a%20b%2Fc.jpg;page=2",
    "https://example.org",
)
HOSTILE = [
    '"',
    "'",
    "<script>",
    "/../",
    "?x=1",
    "#f",
    "&",
    "{name}",
    "}",
    "\\",
    "%2F",
    "\u202e",
    "é☃",
    "a\u2028b",
]


def filled(template):
    return Links(service=(template,)).filled(VALUES).service[0]


def test_every_placeholder_has_a_value():
    template = {name: f"<{{{name}}}>" for name in PLACEHOLDERS}

    assert filled(template) == {
        "id": "<https://example.org/iiif/3/files:a%20b%2Fc.jpg;page=2>",
        "identifier": "<files:a%20b%2Fc.jpg;page=2>",
        "name": "<a%20b%2Fc.jpg>",
        "page": "<2>",
        "profile": "<files>",
        "base_url": "<https://example.org>",
    }


def test_texts_at_every_depth_are_filled_in_and_nothing_else_changes():
    template: dict[str, Any] = {
        "{name}": ["{profile}", {"x": ["{profile}", 1, 2.5, True, None]}],
        "n": 3,
        "t": "plain",
    }

    assert filled(template) == {
        "{name}": ["files", {"x": ["files", 1, 2.5, True, None]}],
        "n": 3,
        "t": "plain",
    }
    assert template["n"] == 3
    assert template["{name}"][0] == "{profile}"  # the template is as it was


def test_all_three_kinds_are_filled_in():
    template = {"id": "{profile}"}

    assert Links((template,), (template, template), (template,)).filled(VALUES) == Links(
        ({"id": "files"},), ({"id": "files"}, {"id": "files"}), ({"id": "files"},)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{", "{"),
        ("}}", "}"),
        ("{{name}}", "{name}"),
        ("{{{profile}}}", "{files}"),
        ("a{{}}b", "a{}b"),
        ("", ""),
    ],
)
def test_doubled_braces_are_braces(text, value):
    assert check_template(text) == text
    assert filled({"x": text}) == {"x": value}


@pytest.mark.parametrize(
    "text", ["{nmae}", "{}", "{ name }", "{name.upper}", "{name!r}", "{0}", "{{{nmae}}}"]
)
def test_unknown_placeholders_are_refused_with_those_that_are_known(text):
    with pytest.raises(
        ValueError, match=r"\{id\}, \{identifier\}, \{name\}, \{page\}, \{profile\}, \{base_url\}"
    ):
        check_template(text)


@pytest.mark.parametrize("text", ["{", "}", "{name", "name}", "{name}}", "{{name}", "{{{name}}"])
def test_lone_braces_are_refused(text):
    with pytest.raises(ValueError, match=r"a lone '[{}]'"):
        check_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/{name}",
        "{id}/original",
        "{base_url}/manifests/{identifier}",
        "urn:isbn:{name}",
        "http://[::1]:80/a?b={name}&c=%20#d",
    ],
)
def test_templates_of_uris(text):
    assert check_uri_template(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "{name}", "catalogue/{name}", "/x", "//example.org/x", "https://example.org/a b", "https:", "http://ü/",
     "https://example.org/\n", 'https://example.org/"', "https://example.org/{{x}}"],
)  # fmt: skip
def test_what_gives_no_uri_is_refused(text):
    with pytest.raises(ValueError, match="want an address with its scheme"):
        check_uri_template(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_within_its_path_segment(name):
    values = placeholder_values(Identifier("files", name), "https://example.org/x", "https://example.org")
    (link,) = Links(see_also=({"id": "https://example.org/{name}.xml"},)).filled(values).see_also

    encoded = link["id"].removeprefix("https://example.org/").removesuffix(".xml")
    assert encoded.isascii()
    assert not set(encoded) & set("/?#&\"'<>{}\\ ")
    assert unquote(encoded) == name


@given(st.text(max_size=20), st.text(max_size=30))
def test_any_name_in_any_good_template_gives_json_that_says_it(name, text):
    values = placeholder_values(Identifier("files", name), "https://example.org/x", "https://example.org")
    template = f"{{name}}{text.replace('{', '{{').replace('}', '}}')}"
    check_template(template)
    (link,) = Links(service=({"x": template},)).filled(values).service

    assert json.loads(json.dumps(link))["x"] == values["name"] + text


@pytest.mark.parametrize(("resolution", "scale"), [(25.4, 1.0), (300, 0.0846667), (100_000, 0.000254)])
def test_physical_dimensions_are_millimetres_per_pixel(resolution, scale):
    stated = physical_dimensions("https://example.org/x/info.json", resolution)

    assert (stated["physicalScale"], stated["physicalUnits"]) == (scale, "mm")

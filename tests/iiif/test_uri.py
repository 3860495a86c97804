"""Identifiers and segments: decoded once, refused when they are no text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.uri import Identifier, decode_segment, parse_identifier


@pytest.mark.parametrize(
    ("segment", "identifier"),
    [
        ("files:a.jpg", ("files", "a.jpg")),
        ("a.jpg", ("default", "a.jpg")),
        ("files%3Aa.jpg", ("files", "a.jpg")),
        ("files:a%2Fb%2Fc.jpg", ("files", "a/b/c.jpg")),
        ("files:a%252Fb", ("files", "a%2Fb")),
        ("files:one:two", ("files", "one:two")),
        ("files:%C3%A9t%C3%A9%20%E2%98%83.jpg", ("files", "été ☃.jpg")),
        ("files:été.jpg", ("files", "été.jpg")),
        ("files:a+b", ("files", "a+b")),
        (":x", ("", "x")),
        ("files:", ("files", "")),
        ("files:%3F%23%5B%5D%40%25", ("files", "?#[]@%")),
        ("files:a.tif;page=2", ("files", "a.tif", 2)),
        ("a.tif%3Bpage%3D12", ("default", "a.tif", 12)),
        ("files:a.tif;page=1", ("files", "a.tif")),
        ("files:a.tif;page=2;page=1", ("files", "a.tif;page=2")),
        ("files:a.tif;page=0", ("files", "a.tif;page=0")),
        ("files:a.tif;page=02", ("files", "a.tif;page=02")),
        ("files:a.tif;page=123456", ("files", "a.tif;page=123456")),
        ("files:a.tif;page=2/b", ("files", "a.tif;page=2/b")),
        ("files:a;page=1:b;page=3", ("files", "a;page=1:b", 3)),
    ],
)
def test_identifiers(segment, identifier):
    assert parse_identifier(segment, "default") == Identifier(*identifier)


def test_without_a_default_profile_a_bare_name_has_none():
    assert parse_identifier("a.jpg", None) == Identifier("", "a.jpg")


def test_the_longest_identifier_is_found_by_its_own_words():
    """Also where the profile is not said: info.json says it."""
    longest = parse_identifier("x" * 1016, "default")

    assert parse_identifier(str(longest), None) == longest
    with pytest.raises(InvalidRequest):
        parse_identifier("x" * 1017, "default")


@pytest.mark.parametrize(
    "segment",
    ["a%", "a%2", "a%zz", "%FF", "%C3", "%ED%A0%80", "a%00b", "a%0Ab", "a%7Fb", "x" * 1025, "\udc80"],
)
def test_what_is_no_text_is_a_400(segment):
    with pytest.raises(InvalidRequest):
        parse_identifier(segment, "default")


NAMES = st.text(min_size=1, max_size=200) | st.from_regex(
    r"[ab:]{0,3}(;page=[0-9]{0,3}){0,3}", fullmatch=True
)


@given(NAMES, st.text("abc-._1", min_size=1), st.integers(1, 99_999))
def test_an_identifiers_text_parses_back(name, profile, page):
    identifier = Identifier(profile, name, page)
    try:
        segment = str(identifier)
    except UnicodeEncodeError:
        return
    try:
        assert parse_identifier(segment, None) == identifier
    except InvalidRequest as error:
        assert "control" in error.public or "longer" in error.public
    assert "/" not in segment
    assert segment.isascii()


@given(st.text(max_size=100))
def test_any_segment_decodes_or_is_a_400(segment):
    try:
        decode_segment(segment)
    except InvalidRequest as error:
        assert error.status == 400


def test_segments_are_percent_decoded_once():
    segments = ["pct%3A0,0,50%2C50", "%5Emax", "%2190", "a%252F", "plain"]

    assert [decode_segment(segment) for segment in segments] == [
        "pct:0,0,50,50",
        "^max",
        "!90",
        "a%2F",
        "plain",
    ]

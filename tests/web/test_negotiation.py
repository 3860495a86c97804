"""Accept and Accept-Encoding headers (RFC 9110 section 12.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.web.negotiation import coding_qualities, prefers, quality_of


@pytest.mark.parametrize(
    ("accept", "quality"),
    [
        ("text/html", 1.0),
        ("text/*;q=0.5", 0.5),
        ("*/*;q=0.1, text/html;q=0.7", 0.7),
        ("text/html;q=0, text/*", 0.0),
        ("TEXT/HTML;level=1;Q=0.3", 0.3),
        ("image/png", 0.0),
        ("text/html;q=nonsense", 0.0),
        ("text/html;q=7", 1.0),
        ("", 0.0),
    ],
)
def test_the_most_specific_range_decides(accept, quality):
    assert quality_of(accept, "text/html") == quality


def test_whoever_does_not_care_gets_the_default():
    for accept in (None, "", "*/*", "application/*"):
        assert not prefers(accept, "application/json", over="application/ld+json")


@given(st.text(max_size=80))
def test_any_header_has_an_answer(accept):
    assert 0 <= quality_of(accept, "text/html") <= 1


@pytest.mark.parametrize(
    ("accept_encoding", "gzip", "deflate"),
    [
        (None, 0, 0),
        ("", 0, 0),
        ("gzip", 1, 0),
        ("GZIP", 1, 0),
        ("x-gzip;q=0.5", 0.5, 0),
        ("gzip;q=0", 0, 0),
        ("gzip;q=0, *", 0, 1),
        ("*;q=0.3", 0.3, 0.3),
        ("deflate, gzip;q=0.5", 0.5, 1),
        ("br, zstd", 0, 0),
        ("notgzip", 0, 0),
        ("identity", 0, 0),
    ],
)
def test_what_codings_are_worth(accept_encoding, gzip, deflate):
    qualities = coding_qualities(accept_encoding, ("gzip", "deflate"))

    assert qualities == {"gzip": gzip, "deflate": deflate, "identity": qualities["identity"]}


@pytest.mark.parametrize(
    ("accept_encoding", "refused"),
    [
        (None, False),
        ("", False),
        ("gzip", False),
        ("identity;q=0", True),
        ("*;q=0", True),
        ("*;q=0, identity", False),
        ("*;q=0, identity;q=0.1", False),
        ("*, identity;q=0", True),
    ],
)
def test_the_body_as_it_is_is_acceptable_unless_refused(accept_encoding, refused):
    assert (coding_qualities(accept_encoding, ("gzip",))["identity"] == 0) is refused


@given(st.text(max_size=80))
def test_any_coding_header_has_an_answer(accept_encoding):
    qualities = coding_qualities(accept_encoding, ("gzip", "deflate"))

    assert set(qualities) == {"gzip", "deflate", "identity"}
    assert all(0 <= quality <= 1 for quality in qualities.values())

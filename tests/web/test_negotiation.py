"""Accept headers (RFC 9110 section 12.5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.web.negotiation import prefers, quality_of


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

"""Queries: what is asked for, and what may be told of them."""

import pytest
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from iiif_server.errors import InvalidRequest
from iiif_server.web.queries import is_asked_for, read_flag, shown_target


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("?full", True),
        ("?full=", True),
        ("?full=true", True),
        ("?full=TRUE", True),
        ("?full=1", True),
        ("?full=no", False),
        ("?full=0", False),
        ("?fuller=true", None),
        ("?a=full", None),
    ],
)
def test_flags(query, expected):
    request = make_mocked_request("GET", f"/status{query}")
    for default in (True, False):
        assert read_flag(request, "full", default=default) is (default if expected is None else expected)
    assert is_asked_for(request, "full") is bool(expected)


def test_a_flag_that_is_none_is_an_error():
    request = make_mocked_request("GET", "/status?full=perhaps")
    with pytest.raises(InvalidRequest, match="'full' is true or false"):
        read_flag(request, "full", default=False)
    assert is_asked_for(request, "full")


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a%2Fb:c/info.json", "/a%2Fb:c/info.json"),
        ("/a?download=x%20y", "/a?download=x+y"),
        ("/a?token=secret", "/a?…"),
        ("/a?secret", "/a?…"),
        ("/a?timing&token=secret&download=b", "/a?timing=&download=b&…"),
        ("/a?download=%0Aforged", "/a?download=%0Aforged"),
        ("/a?", "/a"),
    ],
)
def test_targets_in_the_log(target, shown):
    assert shown_target(make_mocked_request("GET", target)) == shown


def test_a_target_does_not_end_its_quotation_marks():
    """The parser lets them through, and only this keeps the line whole."""
    request = make_mocked_request("GET", "/").clone(rel_url=URL('/a"b', encoded=True))

    assert shown_target(request) == "/a%22b"


def test_no_target_is_endless_or_unprintable():
    shown = shown_target(make_mocked_request("GET", "/\u202e" + "a" * 5000 + "?download=" + "b" * 5000))

    assert len(shown) < 600
    assert shown.isprintable()

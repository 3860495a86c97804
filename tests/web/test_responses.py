"""Conditions of requests (RFC 9110 section 13), and the headers of every answer."""

from datetime import UTC, datetime

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request

from iiif_server.web.responses import Validators, caching_headers, not_modified

MODIFIED = datetime(2026, 3, 1, 12, 30, 15, 750_000, UTC).timestamp()
SAME = "Sun, 01 Mar 2026 12:30:15 GMT"
BEFORE = "Sun, 01 Mar 2026 12:30:14 GMT"
AFTER = "Sun, 01 Mar 2026 12:30:16 GMT"


def evaluated(headers, modified=MODIFIED):
    """304, 412, or 200 for going on."""
    try:
        current = not_modified(make_mocked_request("GET", "/", headers), Validators("tag", modified))
    except web.HTTPPreconditionFailed:
        return 412
    return 304 if current else 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-None-Match": '"tag"'}, 304),
        ({"If-None-Match": 'W/"tag"'}, 304),
        ({"If-None-Match": '"other", "tag"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": "tag"}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 200),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2026 99999999999999999999:00:00 GMT"}, 200),
        # A tag is more exact than a date, and the date is not asked then.
        ({"If-None-Match": '"other"', "If-Modified-Since": AFTER}, 200),
        ({"If-None-Match": '"tag"', "If-Modified-Since": BEFORE}, 304),
        ({"If-Match": '"tag"'}, 200),
        ({"If-Match": '"other", "tag"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": 'W/"tag"'}, 412),
        ({"If-Match": ""}, 412),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": AFTER}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"If-Match": '"tag"', "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": '"other"', "If-Unmodified-Since": AFTER}, 412),
        ({"If-Match": '"other"', "If-None-Match": '"tag"'}, 412),
        ({"If-Match": '"tag"', "If-None-Match": '"tag"'}, 304),
    ],
)
def test_conditions(headers, status):
    assert evaluated(headers) == status


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_without_a_date_of_its_own_a_date_means_nothing(name):
    assert evaluated({name: BEFORE}, modified=None) == 200
    assert evaluated({name: AFTER}, modified=None) == 200


def test_caching_headers():
    assert caching_headers(Validators("tag", MODIFIED), 77) == {
        hdrs.ETAG: '"tag"',
        "Cache-Control": "max-age=77",
        "Last-Modified": SAME,
    }
    assert "Last-Modified" not in caching_headers(Validators("tag", None), 0)

"""Range headers (RFC 9110 section 14), against a second statement of the rules: a body is a row of bytes."""

from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.web.ranges import ByteRange, content_range, parse_range, requested_range
from iiif_server.web.responses import Validators

totals = st.integers(0, 300)
numbers = st.integers(0, 400) | st.just(10**14)
zeros = st.sampled_from(["", "0", "000"])
units = st.sampled_from(["bytes", "Bytes", "BYTES"])

MODIFIED = datetime(2026, 3, 1, 12, 30, 15, 750_000, UTC).timestamp()
VALIDATORS = Validators("tag", MODIFIED)


def selected(part, total):
    """The positions of a part, counted one by one."""
    return [position for position in range(total) if part.start <= position < part.start + part.length]


def assert_selects(part, wanted, total):
    assert selected(part, total) == wanted
    assert part.length == len(wanted)  # nothing beyond the end
    assert part.stop == part.start + part.length


@given(units, zeros, numbers, numbers, st.integers(1, 300))
def test_first_and_last_are_both_included(unit, zero, first, last, total):
    part = parse_range(f"{unit}={zero}{first}-{zero}{last}", total)

    if last < first:
        assert part is None  # invalid: the whole body
    else:
        assert_selects(part, [position for position in range(total) if first <= position <= last], total)


@given(units, numbers, st.integers(1, 300))
def test_from_a_position_on(unit, first, total):
    part = parse_range(f"{unit}={first}-", total)

    assert_selects(part, [position for position in range(total) if position >= first], total)


@given(units, zeros, numbers, st.integers(1, 300))
def test_the_last_bytes(unit, zero, count, total):
    part = parse_range(f"{unit}=-{zero}{count}", total)

    assert_selects(part, [position for position in range(total) if total - position <= count], total)


def is_one_range(header):
    """The grammar of section 14.1.2, read by hand."""
    unit, equals, spec = header.partition("=")
    first, dash, last = spec.partition("-")
    digits = set("0123456789")
    return bool(
        unit.lower() == "bytes"
        and equals
        and dash
        and (first or last)
        and set(first + last) <= digits
        and len(first) < 19
        and len(last) < 19
    )


@given(st.text(max_size=30) | st.from_regex(r"\A(bytes|items)?=?[-0-9, ]{0,45}\Z"), totals)
def test_any_header_has_an_answer(header, total):
    part = parse_range(header, total)

    if part is not None:
        assert is_one_range(header)
        assert 0 <= part.length <= total
        assert part.start + part.length <= total or part.length == 0
    elif is_one_range(header) and total:
        first, _, last = header.partition("=")[2].partition("-")
        assert first
        assert last
        assert int(last) < int(first)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "bytes=a-b",
        "bytes=2-1",
        "bytes=0-1,3-4",
        "bytes=0-1,",
        "bytes=+0-1",
        "bytes=0--1",
        "bytes=0x0-0x1",
        "bytes=٣-٤",
        "bytes = 0-1",
        "items=0-1",
        "bytes=0-1\n",
        f"bytes={'9' * 5000}-",
        f"bytes=-{'9' * 5000}",
    ],
)
def test_what_is_no_single_range_means_the_whole_body(header):
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=9-", (9, 1)),
        ("bytes=-1", (9, 1)),
        ("bytes=0-", (0, 10)),
        ("bytes=-10", (0, 10)),
        ("bytes=-11", (0, 10)),
        ("bytes=5-99", (5, 5)),
        ("bytes=10-", (10, 0)),
        ("bytes=10-20", (10, 0)),
        ("bytes=-0", (10, 0)),
    ],
)
def test_edges(header, expected):
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=-0"])
def test_an_empty_body_has_no_ranges(header):
    assert parse_range(header, 0) is None


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 10**12))
def test_content_range_is_inclusive(start, length, rest):
    header = content_range(ByteRange(start, length), start + length + rest)

    unit, _, numbers = header.partition(" ")
    span, _, total = numbers.partition("/")
    first, _, last = span.partition("-")
    assert unit == "bytes"
    assert (int(first), int(last) - int(first) + 1, int(total)) == (start, length, start + length + rest)


def asked(headers, validators=VALIDATORS, method="GET"):
    return requested_range(make_mocked_request(method, "/", headers=headers), validators, 10)


def test_without_a_range_the_body_is_whole():
    assert asked({}) is None
    assert asked({"If-Range": '"tag"'}) is None


def test_spaces_around_the_header_do_not_count():
    assert asked({"Range": " bytes=2-3 "}) == (2, 2)


def test_only_get_has_ranges():
    assert asked({"Range": "bytes=2-3"}, method="HEAD") is None


def test_two_range_headers_mean_the_whole_body():
    assert asked([("Range", "bytes=2-3"), ("Range", "bytes=2-3")]) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=-0"])
def test_what_no_byte_satisfies_is_416(header):
    with pytest.raises(web.HTTPRequestRangeNotSatisfiable) as caught:
        asked({"Range": header})
    assert caught.value.headers["Content-Range"] == "bytes */10"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('"tag"', True),
        (' "tag" ', True),
        ('W/"tag"', False),
        ('"other"', False),
        ("tag", False),
        ('"tag", "other"', False),
        ("*", False),
        ("", False),
        ("Sun, 01 Mar 2026 12:30:15 GMT", True),
        ("Sun, 01 Mar 2026 12:30:16 GMT", False),
        ("Sun, 01 Mar 2026 12:30:14 GMT", False),
        ("yesterday", False),
    ],
)
def test_if_range(condition, holds):
    headers = {"Range": "bytes=2-3", "If-Range": condition}

    assert asked(headers) == ((2, 2) if holds else None)
    # A part that nobody can have is 416 only for those whose condition holds.
    headers["Range"] = "bytes=99-"
    if holds:
        with pytest.raises(web.HTTPRequestRangeNotSatisfiable):
            asked(headers)
    else:
        assert asked(headers) is None


def test_a_date_is_never_that_of_a_body_without_one():
    headers = {"Range": "bytes=2-3", "If-Range": "Sun, 01 Mar 2026 12:30:15 GMT"}

    assert asked(headers, Validators("tag", None)) is None

"""Content codings: which one a client gets, and that it can read it."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.web.codings import (
    MIN_BYTES,
    choose_coding,
    coding_headers,
    encode,
    encode_again,
    entity_tag,
)

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "identity": bytes,
}


@pytest.mark.parametrize(
    ("accept_encoding", "long", "short"),
    [
        (None, "identity", "identity"),
        ("", "identity", "identity"),
        ("gzip, deflate, br, zstd", "gzip", "identity"),
        ("deflate", "deflate", "identity"),
        ("deflate, gzip;q=0.9", "deflate", "identity"),
        ("gzip;q=0", "identity", "identity"),
        ("gzip;q=0, deflate;q=0, *;q=0", "identity", "identity"),
        ("gzip;q=0.001", "gzip", "identity"),
        ("identity, gzip;q=0.5", "identity", "identity"),
        ("identity;q=0.5, gzip", "gzip", "identity"),
        ("identity;q=0, gzip", "gzip", "gzip"),
        ("identity;q=0", "identity", "identity"),
        ("*", "gzip", "identity"),
        ("*;q=0.5, gzip;q=0", "deflate", "identity"),
        ("*, identity;q=0", "gzip", "gzip"),
        ("br", "identity", "identity"),
    ],
)
def test_the_coding_of_long_and_short_bodies(accept_encoding, long, short):
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    request = make_mocked_request("GET", "/", headers)

    assert choose_coding(request, MIN_BYTES) == long
    assert choose_coding(request, MIN_BYTES - 1) == short


def test_a_header_of_several_lines_is_one():
    request = make_mocked_request("GET", "/", [("Accept-Encoding", "br"), ("Accept-Encoding", "deflate")])

    assert choose_coding(request, MIN_BYTES) == "deflate"


@given(st.binary(max_size=2000))
def test_what_is_encoded_comes_back(body):
    for coding, decode in DECODERS.items():
        assert decode(encode(body, coding)) == body
        assert encode_again(body, coding) == encode(body, coding)


def test_the_same_bytes_whenever_they_are_compressed():
    """The header of gzip has four bytes for a time (RFC 1952 section 2.3)."""
    assert encode(b"x" * 1000, "gzip")[4:8] == bytes(4)


def test_each_representation_has_its_tag():
    tags = {
        entity_tag(media_type, coding, body)
        for media_type in ("application/json", "application/ld+json")
        for coding in DECODERS
        for body in (b"one", b"two")
    }
    assert len(tags) == 12


def test_another_release_of_zlib_has_other_tags(monkeypatch):
    before = {coding: entity_tag("text/plain", coding, b"body") for coding in DECODERS}
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "99.0")
    after = {coding: entity_tag("text/plain", coding, b"body") for coding in DECODERS}

    assert [coding for coding in DECODERS if before[coding] == after[coding]] == ["identity"]


def test_the_body_as_it_is_has_no_header():
    assert coding_headers("identity") == {}
    assert coding_headers("gzip") == {"Content-Encoding": "gzip"}

"""What is read of the bytes that a client sends first."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import example, given
from hypothesis import strategies as st

from iiif_server.web.heads import Wish, read_head

LINE = b"GET /a HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"Host: a\r\n\r\n", Wish(b"/a", b"a", None, None)),
        (b"host:a\r\nACCEPT: */*\r\nAccept-Encoding: gzip\r\n\r\n", Wish(b"/a", b"a", b"*/*", b"gzip")),
        (
            b"User-Agent: x\r\nHost: a\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n",
            Wish(b"/a", b"a", None, None),
        ),
        (b"X-Forwarded-Host: b\r\nHost: a\r\n\r\n", Wish(b"/a", b"a", None, None)),
        (b"\r\n", False),
        (b"Accept: x\r\n\r\n", True),
        (b"Host: a\r\nHost: a\r\n\r\n", True),
        (b"Host: a\r\nAccept: a\r\nAccept: b\r\n\r\n", True),
        (b"Host: a\r\nRange: bytes=0-\r\n\r\n", True),
        (b"Host: a\r\nIf-None-Match: *\r\n\r\n", True),
        (b"Host: a\r\nAuthorization: x\r\n\r\n", True),
        (b"Host: a\r\nConnection: close\r\n\r\n", True),
        (b"Host: a\r\nContent-Length: 0\r\n\r\n", False),
        (b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"Host: a\r\nUpgrade: x\r\n\r\n", False),
        (b"Host: a\r\n", False),
        (b"Host: a\r\n\r\nx", False),
        (b"Host: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"Host: a\r\n folded\r\n\r\n", False),
        (b"Host: a\n\r\n\r\n", False),
        (b"Host : a\r\n\r\n", False),
        (b"Host: \x00\r\n\r\n", False),
        (b"Host: \xff\r\n\r\n", False),
    ],
)
def test_what_is_read_of_a_head(fields: bytes, expected: Wish | bool) -> None:
    assert read_head(LINE + fields) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /a HTTP/1.0", False),
        (b"GET /a  HTTP/1.1", False),
        (b"GET  /a HTTP/1.1", False),
        (b"GET a HTTP/1.1", False),
        (b"GET http://b/a HTTP/1.1", False),
        (b"GET /\xc3\xa9 HTTP/1.1", False),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1", False),
        (b"get /a HTTP/1.1", False),
        (b"POST /a HTTP/1.1", False),
        (b"HEAD /a HTTP/1.1", True),
        (b"OPTIONS /a HTTP/1.1", True),
        (b"GET /a?b HTTP/1.1", True),
    ],
)
def test_what_is_read_of_a_request_line(line: bytes, expected: bool) -> None:
    assert read_head(line + b"\r\nHost: a\r\n\r\n") is expected


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"\r\n", b"\n", b": ", b" ", b"\t", b"GET ", b" HTTP/1.1\r\n", b"\0", b"\xff"]),
            st.sampled_from([b"/a", b"Host: a\r\n", b"Host", b"Content-Length: 1\r\n", b"Accept: b\r\n"]),
            st.binary(max_size=3),
        ),
        max_size=9,
    ).map(b"".join)
)
@example(b"Accept:\r\n")
@example(b"Accept: a\t\r\n")
async def test_the_framework_reads_the_same(rest: bytes) -> None:
    """Whatever is taken for the head of one request is that to aiohttp, with the same values."""
    for data in (
        rest,
        b"GET /a HTTP/1.1\r\nHost: a\r\n" + rest,
        b"GET /a HTTP/1.1\r\nHost: a\r\n" + rest + b"\r\n",
    ):
        found = read_head(data)
        if found is False:
            continue
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=8190, max_field_size=8190)
        try:
            messages, upgraded, tail = parser.feed_data(data)
        except HttpProcessingError:
            assert found is True  # it is refused, and so is the connection
            continue
        ((message, payload),) = messages
        assert not upgraded
        assert tail == b""
        assert payload.is_eof()
        if isinstance(found, Wish):
            assert message.path.encode() == found.target
            told = [message.headers.get(name) for name in ("Host", "Accept", "Accept-Encoding")]
            assert told == [value if value is None else value.decode() for value in found[1:]]

"""Requests that are no HTTP, or too much of it: refused before any handler, by aiohttp itself."""

import pytest

HOST = b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_400(client, request_bytes):
    answer = client.raw(request_bytes)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"text/plain" in head
    assert len(body) < 300
    assert b"Traceback" not in body
    assert b".py" not in body
    assert client.get("/").status == 200


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"OPTIONS * HTTP/1.1", 204),
        (b"POST / HTTP/1.1", 405),
        (b"GET /%zz HTTP/1.1", 400),
        (b"GET //// HTTP/1.1", 404),
        (b"CONNECT a:80 HTTP/1.1", 404),
        (b"GET / HTTP/1.1\r\nExpect: nonsense", 417),
    ],
)
def test_what_is_odd_but_http_is_answered_like_the_rest(client, request_line, status):
    head, _, _ = client.raw(request_line + b"\r\n" + HOST + b"\r\n").partition(b"\r\n\r\n")

    assert int(head.split()[1]) == status
    assert b"Access-Control-Allow-Origin: *" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Server: iiif-server\r\n" in head + b"\r\n"

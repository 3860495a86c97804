"""Requests that are no HTTP, or too much of it: refused before any handler."""

import socket
import time

import pytest

HOST = b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 17000 + b"\r\n" + HOST + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 900 + b"\r\n") * 100 + HOST, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n" + HOST + b"\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
            + HOST
            + b"\r\n0\r\n\r\n",
            400,
        ),
    ],
)
def test_what_is_no_request_is_refused_like_all_else(client, request_bytes, status):
    """With the headers of every answer, and nothing of the request in it."""
    head, _, body = client.raw(request_bytes).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")

    assert int(lines[0].split()[1]) == status
    assert "Content-Type: text/plain; charset=utf-8" in lines
    assert "Access-Control-Allow-Origin: *" in lines
    assert "X-Content-Type-Options: nosniff" in lines
    assert "Cache-Control: no-store" in lines
    assert "Server: iiif-server" in lines
    assert "Connection: close" in lines
    assert len(body.splitlines()) == 1
    assert len(body) < 60
    for word in (b"aaa", b"FOO", b"colon", b"9.9"):
        assert word not in body
    assert client.get("/").status == 200


IMAGE = "/files:photo.jpg/full/90,/0/default.jpg"


@pytest.mark.parametrize(
    ("request_line", "framing"),
    [
        (f"GET {IMAGE}", "Content-Length: 1000000000"),
        (f"GET {IMAGE}", "Content-Length: 1"),
        (f"GET {IMAGE}", "Transfer-Encoding: chunked"),
        (f"HEAD {IMAGE}", "Content-Length: 1000000000"),
        ("POST /originals?identifiers=files:photo.jpg", "Content-Length: 1000000000"),
    ],
)
def test_a_body_is_refused_before_it_comes(client, request_line, framing):
    """Of a GET always, of a POST if it is too large: nothing of it has come yet."""
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=8) as connection:
        kind = "Content-Type: application/json"
        connection.sendall(f"{request_line} HTTP/1.1\r\nHost: x\r\n{kind}\r\n{framing}\r\n\r\n".encode())
        answer = connection.recv(4096)

    assert int(answer.split()[1]) == 413
    assert b"Connection: close" in answer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_trickles_in_after_a_refusal_is_not_waited_for(client, method):
    """Also where the address takes no such method."""
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=8) as connection:
        connection.sendall(f"{method} {IMAGE} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n".encode())
        assert int(connection.recv(4096).split()[1]) in (405, 413)
        deadline = time.monotonic() + 8
        with pytest.raises(ConnectionError):  # noqa: PT012 - it is a later writing that fails
            while time.monotonic() < deadline:
                connection.sendall(b"1")
                time.sleep(0.1)


def test_a_request_without_a_body_may_say_so(client):
    assert client.ask("GET", IMAGE, {"Content-Length": "0"}).status == 200


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

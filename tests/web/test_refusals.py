"""What is answered where no handler is asked."""

import pytest
from aiohttp.http_exceptions import BadStatusLine, LineTooLong

from iiif_server.web.refusals import raw_refusal, refusal, status_of_malformed


@pytest.mark.parametrize("status", [400, 408, 414, 429, 431, 500, 503, 504, 418])
def test_both_forms_say_the_same(status):
    response = refusal(status)
    head, _, body = raw_refusal(status).decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)

    assert first.startswith(f"HTTP/1.1 {status} ")
    assert (response.status, response.text) == (status, body)
    assert headers["Connection"] == "close"
    assert int(headers.pop("Content-Length")) == len(body)
    assert headers == dict(response.headers)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert ("Retry-After" in headers) == (status in (429, 503))


@pytest.mark.parametrize(
    ("error", "limits", "status"),
    [
        (LineTooLong(b"a", 100), (100, 200), 414),
        (LineTooLong(b"a", 200), (100, 200), 431),
        (LineTooLong(b"a", 200), (200, 200), 400),
        (LineTooLong(b"a"), (100, 200), 400),
        (BadStatusLine("x"), (100, 200), 400),
        (None, (100, 200), 400),
    ],
)
def test_what_was_too_long(error, limits, status):
    assert status_of_malformed(error, *limits) == status

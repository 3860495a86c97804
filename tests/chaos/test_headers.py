"""What stands in headers never becomes a header, an address for others, or a line of the log."""

import json
import re

import pytest

from tests.chaos.raw import Answer, RawClient
from tests.chaos.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

IMAGE = "/one.jpg/full/64,/0/default.jpg"
INFO = "/iiif/3/one.jpg/info.json"
ORDINARY = {
    *(
        "accept-ranges",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "allow",
        "cache-control",
    ),
    *(
        "connection",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
    ),
    *(
        "content-security-policy",
        "date",
        "etag",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "server",
    ),
    *("server-timing", "vary", "x-content-type-options", "x-request-id", "transfer-encoding"),
}
EVIL = "evil.example"
DISPOSITION = re.compile(r"(attachment|inline)(; filename=\"[^\"\\]+\"(; filename\*=UTF-8''[^;\"\\]+)?)?")

INJECTIONS = [
    f"{form.format(payload)}"
    for form in (
        IMAGE + "?download={}",
        "/one.jpg/original?download={}",
        "/{}/info.json",
        "/one.jpg/full/{}/0/default.jpg",
        "/{}",
        "/?image={}",
        "/?after={}",
        "/originals?identifiers={}",
        "/status?full={}",
    )
    for payload in (
        f"%0d%0aSet-Cookie:%20a=b%0d%0aLocation:%20http://{EVIL}",
        "%0aSet-Cookie:a=b",
        "%0dSet-Cookie:a=b",
        "%E5%98%8D%E5%98%8ASet-Cookie:a=b",
        "%C4%8D%C4%8ASet-Cookie:a=b",
        "%22%3B%20filename=%22x.exe",
        "%00%01%1b%5B31m",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "%E2%80%A8%E2%80%A9%C2%85x",
    )
]


def assert_sound(answer: Answer) -> None:
    """The headers are those that this server has, each once, and the answer is what it says it is."""
    names = [name.lower() for name in answer.headers]
    assert set(names) <= ORDINARY, set(names) - ORDINARY
    assert len(names) == len(set(names)) or {name for name in names if names.count(name) > 1} == {"link"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    if answer.status >= 400:
        assert answer.media_type in {"text/plain", "application/json"}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("target", INJECTIONS)
def test_addresses_inject_nothing(client: RawClient, target: str) -> None:
    """Neither a header nor markup."""
    answer = client.get(target)

    assert_sound(answer)
    assert b"<script>alert" not in answer.body
    assert EVIL not in str(answer.headers.get("Location"))
    assert DISPOSITION.fullmatch(answer.headers.get("Content-Disposition", "inline"))


HEADERS = [
    f"Host: {EVIL}",
    f"Host: {EVIL}/path",
    f"Host: {EVIL}@127.0.0.1",
    "Host: a b",
    'Host: "><script>',
    "Host: ",
    f"X-Forwarded-Host: {EVIL}",
    f"X-Forwarded-Server: {EVIL}",
    "X-Forwarded-Proto: javascript",
    f"X-Forwarded-Prefix: //{EVIL}",
    f"Forwarded: host={EVIL};proto=https",
    f"X-Original-URL: /{EVIL}",
    f"X-Rewrite-URL: /{EVIL}",
    f"Origin: https://{EVIL}",
    f"Referer: https://{EVIL}",
    "X-Request-ID: a\tb",
    "Accept: " + "application/json;q=0.5," * 300,
    "Accept-Encoding: " + "gzip;q=1e9," * 500,
    "If-None-Match: " + '"a",' * 1500,
    "If-Modified-Since: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "If-Modified-Since: Mon, 01 Jan 2026 99999999999999999999:00:00 GMT",
    "If-Unmodified-Since: Mon, 99 Jan 0000 00:00:00 -9999",
    "If-Range: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Range: bytes=" + "0-0," * 1500,
    "Range: bytes=99999999999999999999-",
    "Content-Length: 0",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Cookie: " + "a=b; " * 1000,
    "Authorization: Basic " + "A" * 4000,
]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_inject_nothing_and_last_for_one_request(client: RawClient, header: str) -> None:
    """What one client says of the host or of itself is not in the next one's answers."""
    before = {target: client.get(target) for target in (INFO, IMAGE)}
    for target in (INFO, IMAGE, "/one.jpg", "/"):
        asked = client.get(target, header)
        assert_sound(asked)
        assert asked.status < 500
        assert b"<script>" not in asked.body.replace(b'<script src="static/', b"")
    for target, earlier in before.items():
        later = client.get(target)
        assert (later.status, later.body, later.headers["ETag"]) == (
            200,
            earlier.body,
            earlier.headers["ETag"],
        )
        assert EVIL not in str(later.headers)
    assert EVIL not in json.loads(client.get(INFO).body)["id"]


def test_the_log_has_a_line_for_each(shared_site: Site, client: RawClient) -> None:
    """Nothing that a client sends begins a line of its own, or colours one."""
    client.get("/nothing%0AERROR%20forged%1b%5B31m.jpg/info.json", "User-Agent: a\x1b[31m")
    output = shared_site.server.output()

    assert "\nERROR forged" not in output
    assert "\x1b" not in output
    assert "Traceback" not in output


def test_errors_are_for_every_origin(client: RawClient) -> None:
    """Viewers of other sites may read why there is no image, and may ask for leave."""
    for target in ("/nothing.jpg/info.json", "/one.jpg/full/9999,/0/default.jpg", "/a/b/c"):
        answer = client.get(target, f"Origin: https://{EVIL}", "Accept: application/json")
        assert answer.media_type == "application/json"
        assert json.loads(answer.body)["status"] == answer.status
        assert_sound(answer)
        leave = client.send(
            f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\nOrigin: https://{EVIL}\r\n"
            "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: range\r\n\r\n".encode()
        )
        assert leave.status == 204
        assert "Access-Control-Allow-Credentials" not in leave.headers

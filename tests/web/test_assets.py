"""The package's static files: each in every coding, confirmed by its tag."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from importlib.resources import files

import pytest

from iiif_server.web.assets import Asset, load_assets
from iiif_server.web.codings import CODINGS

SCRIPT = "/static/openseadragon/openseadragon.min.js"
DECODERS: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    None: bytes,
}
STORED = files("iiif_server.web") / "static"


ASSETS = load_assets()


async def test_every_file_is_there_as_it_is():

    assert ASSETS["viewer.js"].content == (await asyncio.to_thread((STORED / "viewer.js").read_bytes))
    assert ASSETS["openseadragon/images/home_rest.png"].media_type == "image/png"
    for asset in ASSETS.values():
        answers = {await asset.coded(coding) for coding in ("identity", *CODINGS)}
        assert len({answer.tag for answer in answers}) == len(answers)
        for coding, body, _ in answers:
            assert DECODERS[None if coding == "identity" else coding](body) == asset.content


async def test_only_what_gets_much_smaller_is_compressed():
    for content, codings in ((b"a" * 1000, ["gzip", "deflate"]), (bytes(range(256)), ["identity"] * 2)):
        asset = Asset.of("a.css", content)
        assert [(await asset.coded(coding)).coding for coding in ("gzip", "deflate")] == codings


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [(None, None), ("gzip, deflate, br", "gzip"), ("deflate", "deflate"), ("gzip;q=0", None), ("br", None)],
)
def test_the_script_in_each_coding(client, accept_encoding, coding):
    headers = {"Accept-Encoding": accept_encoding} if accept_encoding else {}
    answer = client.ask("GET", SCRIPT, headers)
    stored = (STORED / "openseadragon" / "openseadragon.min.js").read_bytes()

    assert answer.status == 200
    assert answer.headers["Content-Encoding"] == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "javascript" in answer.headers["Content-Type"]
    assert DECODERS[coding](answer.body) == stored
    assert (len(answer.body) < len(stored) / 3) is (coding is not None)
    again = client.ask("GET", SCRIPT, {**headers, "If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["Vary"] == "Accept-Encoding"


def test_a_small_file_is_sent_as_it_is(client):
    answer = client.get("/static/icon.svg", Accept_Encoding="gzip")

    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Type"] == "image/svg+xml"


def test_head_has_the_same_headers(client):
    head = client.ask("HEAD", SCRIPT, {"Accept-Encoding": "gzip"})
    get = client.ask("GET", SCRIPT, {"Accept-Encoding": "gzip"})

    assert head.body == b""
    for name in ("Content-Encoding", "Content-Length", "ETag", "Vary", "Content-Type"):
        assert head.headers[name] == get.headers[name]

"""Origins that mean harm or are broken: each is a page, and what comes of asking for it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from http_origin import Origin, Page, Request, reply

from iiif_server.testing import draw_image

IMAGE = draw_image("known", 300, 200).original
TINY = draw_image("tiny", 8, 8, file_format="PNG").original
LIMIT = 1 << 20
"""What a source may have in these tests."""

Writer = asyncio.StreamWriter
KINDS: dict[str, Kind] = {}


@dataclass(frozen=True)
class Kind:
    """A kind of hostile origin.

    Attributes:
        page: makes the page.
        outcome: the status of the answer.
        options: of the profile.
        more: other pages of the origin.
    """

    page: Callable[[Origin], Page]
    outcome: int
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, bytes] = field(default_factory=dict)


def kind(name: str, outcome: int, page: Page | Callable[[Origin], Page], **options: Any) -> None:
    """Note a kind; a page that needs to know the origin is a function named ``of_…``."""
    if callable(page) and page.__name__.startswith("of_"):
        KINDS[name] = Kind(page, outcome, options)  # type: ignore[arg-type]
    else:
        KINDS[name] = Kind(lambda _: page, outcome, options)  # type: ignore[arg-type,return-value]


def moved(location: str, status: int = 302) -> bytes:
    return reply(status, Location=location)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = reply(200, Content_Length=None, Transfer_Encoding="chunked")
UNTIL_CLOSED = reply(200, Content_Length=None, Connection="close")


async def endless(_: Request, writer: Writer) -> None:
    writer.write(UNTIL_CLOSED + IMAGE)
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def endless_chunks(_: Request, writer: Writer) -> None:
    writer.write(CHUNKED + chunk(IMAGE))
    while True:
        writer.write(chunk(bytes(65_536)))
        await writer.drain()


async def endless_headers(_: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: more\r\n" * 100)
        await writer.drain()


async def endless_interim(_: Request, writer: Writer) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


async def silence(_: Request, writer: Writer) -> None:
    await asyncio.Event().wait()


async def half_a_header(_: Request, writer: Writer) -> None:
    writer.write(reply(200, IMAGE)[:20])
    await asyncio.Event().wait()


async def half_a_body(_: Request, writer: Writer) -> None:
    writer.write(reply(200, IMAGE)[:-100])
    await asyncio.Event().wait()


async def drip(_: Request, writer: Writer) -> None:
    for byte in reply(200, IMAGE):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def drip_of_a_body(_: Request, writer: Writer) -> None:
    writer.write(reply(200, Content_Length=len(IMAGE)))
    for byte in IMAGE:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def hang_up(_: Request, writer: Writer) -> None:
    writer.transport.abort()


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


BOMB = IMAGE + bytes(64 << 20)
PAGE = b"<!doctype html><title>Under maintenance</title>" * 9


def of_a_secret(origin: Origin) -> Page:
    return moved(f"http://user:word@127.0.0.1:{origin.port}/other")


def of_another_scheme(origin: Origin) -> Page:
    return moved(f"https://127.0.0.1:{origin.port}/other")


# Redirects.
kind("redirect to the metadata of a cloud", 502, moved("http://169.254.169.254/latest/meta-data/"))
kind(
    "redirect to an origin that is allowed, at an address that is not",
    502,
    moved("http://10.0.0.1/x"),
    allow_redirects=["http://10.0.0.1/"],
)
kind(
    "redirect to a private address in IPv6's clothes",
    502,
    moved("http://[::ffff:10.0.0.1]/x"),
    allow_redirects=["http://[::ffff:10.0.0.1]/"],
)
kind("redirect to another port", 502, moved("http://127.0.0.1:1/x"))
kind("redirect to another scheme of the origin", 502, of_another_scheme)
kind("redirect to a file", 502, moved("file:///etc/passwd"))
kind("redirect with credentials", 502, of_a_secret)
kind("redirect to nowhere", 502, reply(302))
kind("redirect to no URL", 502, moved("http://[::1"))
kind("redirect to an address in one number", 502, moved("http://2130706433/"))
kind("redirect loop", 502, moved("/image"))
# Time.
kind("silence", 504, silence)
kind("header that stalls", 504, half_a_header)
kind("body that stalls", 504, half_a_body)
kind("header that drips", 504, drip, total_timeout=0.5)
kind("body that drips", 504, drip_of_a_body, total_timeout=0.5)
# Size.
kind("endless body", 413, endless)
kind("chunks without end", 413, endless_chunks)
kind("Content-Length beyond the limit", 413, reply(200, IMAGE, Content_Length=LIMIT + 1))
kind("gzip bomb behind an image", 413, reply(200, zipped(BOMB), Content_Encoding="gzip"))
kind("deflate bomb behind an image", 413, reply(200, zlib.compress(BOMB), Content_Encoding="deflate"))
kind("gzip bomb of nothing", 502, reply(200, zipped(bytes(64 << 20)), Content_Encoding="gzip"))
kind("header line of a megabyte", 502, reply(200, IMAGE, X_Long="x" * (1 << 20)))
kind("endless headers", 502, endless_headers)
kind("endless interim answers", 504, endless_interim, total_timeout=0.5)
# Length.
kind("body shorter than Content-Length", 502, reply(200, IMAGE, Content_Length=len(IMAGE) + 1))
kind("body longer than Content-Length", 502, reply(200, TINY, Content_Length=len(TINY) - 9))
kind("chunks that break off", 502, CHUNKED + chunk(IMAGE))
kind("chunk of a wrong length", 502, CHUNKED + b"ffffffffffffffffff\r\n" + IMAGE)
kind("negative Content-Length", 502, reply(200, IMAGE, Content_Length=-1))
kind("two lengths", 502, reply(200, IMAGE, content_length=3))
kind("gzip that breaks off", 502, reply(200, zipped(IMAGE)[:-9], Content_Encoding="gzip"))
kind("gzip with more behind it", 502, reply(200, zipped(IMAGE) + b"more", Content_Encoding="gzip"))
kind("gzip that is none", 502, reply(200, IMAGE, Content_Encoding="gzip"))
kind("unknown coding", 502, reply(200, IMAGE, Content_Encoding="br, gzip"))
# Content.
kind("page under the type of an image", 502, reply(200, PAGE, Content_Type="image/jpeg"))
kind("empty body", 502, reply(200))
kind("script that could be an image", 502, reply(200, b'<svg xmlns="http://www.w3.org/2000/svg"/>'))
kind("damaged image", 422, reply(200, IMAGE[:8] + b"\xff" * 1000))
kind("image of a format that is not read", 502, reply(200, b"8BPS\0\1" + bytes(100)))
# Status.
kind("304 that nobody asked for", 502, reply(304, ETag='"1"'))
kind("part that nobody asked for", 502, reply(206, IMAGE, Content_Range=f"bytes 0-1/{len(IMAGE)}"))
kind("success without an image", 502, reply(204, Content_Length=None))
kind("stack trace", 502, reply(500, b"Traceback: secret"))
kind("refusal", 502, reply(403, IMAGE))
kind("demand for a password", 502, reply(401, IMAGE, WWW_Authenticate="Basic"))
kind("too busy", 502, reply(503, IMAGE, Retry_After=9))
kind("gone", 404, reply(410, IMAGE))
# Protocol.
kind("connection that is closed at once", 502, hang_up)
kind("no HTTP", 502, b"SSH-2.0-OpenSSH_9.2\r\n")
kind("number of no status", 502, b"HTTP/1.1 2000 OK\r\n\r\n" + IMAGE)
kind("header that is split", 502, reply(200, IMAGE, X_Bad="a\r\nno header"))

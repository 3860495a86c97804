"""From the body of an answer into the store: decoded within bounds, and an image from its first bytes on."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientResponse

from iiif_server.api import SourceWriter, UpstreamFailed, recognise_source

_START: Final = 64
_CHUNK: Final = 1 << 16
"""Bytes that are taken over at a time. All that have come would be in memory twice while they are joined."""
_PIECE: Final = 1 << 18
"""Bytes that are decompressed in one go: what a bomb may take of memory, and of the event loop's time."""


async def keep_body(response: ClientResponse, writer: SourceWriter) -> None:
    """Write an answer's body, decoded.

    A body that is shorter than its Content-Length is noticed by aiohttp.

    Raises:
        UpstreamFailed: it is no image, or its coding is unknown or damaged.
        SourceTooLarge: it is, decoded.
        aiohttp.ClientError: it does not come whole.
    """
    start = b""
    is_begun = False
    async for piece in _decoded(response):
        if is_begun:
            await writer.write(piece)
            continue
        start += piece
        if len(start) >= _START:
            is_begun = True
            await _begin(response, writer, start)
    if not is_begun:
        await _begin(response, writer, start)


async def _begin(response: ClientResponse, writer: SourceWriter, start: bytes) -> None:
    # Whether the server can read it is found by the server itself, once it is whole.
    if recognise_source(start) is None:
        raise UpstreamFailed(
            "The origin of this image sends something else.",
            log=f"no image: {response.headers.get('Content-Type', '')[:100]!r}, begins with {start[:16]!r}",
        )
    if _coding(response) == "identity":
        # Only now: a lie about the length of what is no image must not drive other images out.
        await writer.expect(response.content_length or 0)
    await writer.write(start)


async def _decoded(response: ClientResponse) -> AsyncIterator[bytes]:
    coding = _coding(response)
    if coding == "identity":
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
    elif coding in {"gzip", "x-gzip", "deflate"}:
        async for piece in _inflated(response, coding):
            yield piece
    else:
        raise UpstreamFailed(
            "The origin sends this image in a way that is not understood.", log=f"coding {coding[:100]!r}"
        )


async def _inflated(response: ClientResponse, coding: str) -> AsyncIterator[bytes]:
    inflater = None
    async for chunk in response.content.iter_chunked(_CHUNK):
        if inflater is None:
            inflater = zlib.decompressobj(_window(coding, chunk[0]))
        pending = chunk
        while pending and not inflater.eof:
            yield _inflate(inflater, pending)
            pending = inflater.unconsumed_tail
            await asyncio.sleep(0)  # others want the event loop as well
        if inflater.eof and (pending or inflater.unused_data):
            raise _damaged("there is more behind the end")
    # What the last bytes stand for may be more than one piece.
    while inflater is not None and not inflater.eof:
        piece = _inflate(inflater, inflater.unconsumed_tail)
        if not piece:
            raise _damaged("it ends too early")
        yield piece


def _inflate(inflater: zlib._Decompress, data: bytes) -> bytes:
    try:
        return inflater.decompress(data, _PIECE)
    except zlib.error as error:
        raise _damaged(str(error)) from error


def _window(coding: str, first: int) -> int:
    """What zlib is told of the format; ``deflate`` is sent with a header of zlib or, wrongly, without."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if first & 0xF == zlib.DEFLATED else -zlib.MAX_WBITS


def _coding(response: ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower() or "identity"


def _damaged(why: str) -> UpstreamFailed:
    return UpstreamFailed("The origin sends this image damaged.", log=f"a damaged compression: {why}")

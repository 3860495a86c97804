"""Send bodies: from memory or from an open file, all or the range that is asked for; or piece by piece."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from aiohttp import hdrs, web

from iiif_server.caches.derivative import FileSlice
from iiif_server.web.ranges import ACCEPT_RANGES, content_range, requested_range
from iiif_server.web.responses import Validators

SEND_TIMEOUT = web.AppKey("send_timeout", float)
"""Seconds for which a client may take nothing of a body that waits for it."""

_PIECE = 256 << 10
_AT_ONCE = 1 << 20
"""Bytes that are handed to a connection without waiting for the client."""


class ClientGone(ConnectionError):
    """The client left in the middle of its answer, or took nothing for too long: nothing failed here."""


async def send_body(
    request: web.Request, body: bytes | FileSlice, validators: Validators, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer 200 with a body, or 206 with a range of it; the caller closes the body afterwards.

    Args:
        request: its conditions were met.
        body: bytes, or a stretch of an open file, of which nothing is read that is not sent.
        validators: what ``If-Range`` is compared with.
        headers: of the whole answer, without its length.

    Raises:
        web.HTTPRequestRangeNotSatisfiable: the body has none of the bytes that were asked for.
    """
    total = len(body) if isinstance(body, bytes) else body.length
    headers = headers | ACCEPT_RANGES
    status = 200
    if (part := requested_range(request, validators, total)) is not None:
        status = 206
        headers[hdrs.CONTENT_RANGE] = content_range(part, total)
    if isinstance(body, bytes):
        wanted = body if part is None else body[part.start : part.stop]
        if len(wanted) <= _AT_ONCE:
            return web.Response(status=status, body=wanted, headers=headers)
        return await _send_bytes(request, memoryview(wanted), status, headers)
    if part is not None:
        body = FileSlice(body.file, body.offset + part.start, part.length)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = body.length
    await response.prepare(request)
    _end_when_stalled(request)
    if body.length:
        await _send_file(request, response, body)
    await response.write_eof()
    return response


async def send_pieces(
    request: web.Request, pieces: AsyncGenerator[bytes], length: int | None, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer 200 with a body that comes in pieces, and close what makes them.

    The answer begins when the first piece is there: what fails before is told. What fails later ends the
    connection short of the length, or without the mark of a whole body.

    Args:
        request: of no range.
        pieces: the body.
        length: of all of it, in bytes, if known.
        headers: of the answer, without its length.
    """
    response = web.StreamResponse(headers=headers | {hdrs.ACCEPT_RANGES: "none"})
    response.content_length = length
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        await response.prepare(request)
        _end_when_stalled(request)
        await _write(response, first)
        async for piece in pieces:
            await _write(response, piece)
        await response.write_eof()
    return response


async def _send_bytes(
    request: web.Request, body: memoryview, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    """Send a large body piece by piece: sockets copy what their client does not take, each for itself."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    _end_when_stalled(request)
    for start in range(0, len(body), _PIECE):
        await _write(response, body[start : start + _PIECE])
    await response.write_eof()
    return response


def _end_when_stalled(request: web.Request) -> None:
    """Have the connection ended when the client takes nothing for too long: it holds a file open, or more.

    The system watches that (on Linux: TCP_USER_TIMEOUT, of RFC 5482), also while it sends by itself.
    """
    if (transport := request.transport) is None:
        raise ClientGone
    connection, seconds = transport.get_extra_info("socket"), request.app.get(SEND_TIMEOUT)
    is_tcp = getattr(connection, "family", None) in (socket.AF_INET, socket.AF_INET6)
    if seconds and is_tcp and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


async def _send_file(request: web.Request, response: web.StreamResponse, body: FileSlice) -> None:
    assert request.transport is not None
    send = asyncio.get_running_loop().sendfile
    try:
        with _gone_if_broken():
            sent = await send(request.transport, body.file, body.offset, body.length)
    except NotImplementedError:  # uvloop has no sendfile
        sent = 0
        async with aclosing(body.pieces(_PIECE)) as pieces:
            async for piece in pieces:
                await _write(response, piece)
                sent += len(piece)
    if sent != body.length:
        raise OSError(f"the file ended after {sent} of {body.length} bytes")


async def _write(response: web.StreamResponse, piece: bytes | memoryview) -> None:
    with _gone_if_broken():
        await response.write(piece)


@contextmanager
def _gone_if_broken() -> Iterator[None]:
    """Tell the end of the client's connection from that of another one."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise ClientGone from error

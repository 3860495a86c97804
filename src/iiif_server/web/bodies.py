"""Send a body of known length, or the range of it that is asked for, from memory or from an open file."""

from __future__ import annotations

import asyncio
import os

from aiohttp import hdrs, web

from iiif_server.caches.derivative import FileSlice
from iiif_server.web.ranges import ACCEPT_RANGES, content_range, requested_range
from iiif_server.web.responses import Validators

_PIECE = 256 << 10


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
        return web.Response(status=status, body=wanted, headers=headers)
    if part is not None:
        body = FileSlice(body.file, body.offset + part.start, part.length)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = body.length
    await response.prepare(request)
    await _send_file(request, response, body)
    await response.write_eof()
    return response


async def _send_file(request: web.Request, response: web.StreamResponse, body: FileSlice) -> None:
    if (transport := request.transport) is None:
        raise ConnectionResetError("The client has gone.")
    try:
        sent = await asyncio.get_running_loop().sendfile(transport, body.file, body.offset, body.length)
    except NotImplementedError:  # uvloop has no sendfile
        sent = await _send_pieces(response, body)
    if sent != body.length:
        raise OSError(f"the file ended after {sent} of {body.length} bytes")


async def _send_pieces(response: web.StreamResponse, body: FileSlice) -> int:
    descriptor, end = body.file.fileno(), body.offset + body.length
    position = body.offset
    while position < end:
        piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE, end - position), position)
        if not piece:
            break
        await response.write(piece)
        position += len(piece)
    return position - body.offset

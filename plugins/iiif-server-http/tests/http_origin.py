"""An origin on loopback that speaks raw HTTP, well or badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]
Page = bytes | Handler


@dataclass
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]


def reply(status: int = 200, body: bytes = b"", **headers: object) -> bytes:
    """A whole answer; Content-Length is right unless it is given, ``None`` leaves a header out."""
    fields: dict[str, object] = {"Content_Length": len(body), "Content_Type": "image/tiff"} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status} Words", *lines, "", ""]).encode("latin-1") + body


def image(body: bytes, etag: str | None = None, modified: str | None = None, **headers: object) -> Handler:
    """A good page: it answers conditions, if it has validators."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        validators = {"ETag": etag, "Last_Modified": modified}
        asked = request.headers
        known = asked.get("if-none-match") if etag else asked.get("if-modified-since")
        if known is not None and known == (etag or modified):
            writer.write(reply(304, **validators))
        else:
            await send(writer, reply(200, **{"Content_Length": len(body), **validators, **headers}), body)

    return answer


async def send(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    """Write a body in pieces: tests of memory must not see it here."""
    writer.write(head)
    for start in range(0, len(body), 65_536):
        writer.write(memoryview(body)[start : start + 65_536])
        await writer.drain()


@dataclass
class Origin:
    """Pages by path, and what was asked for."""

    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in head[1:] if line)
            request = Request(head[0].split(" ")[1], {name.lower(): text.strip() for name, _, text in pairs})
            self.requests.append(request)
            page = self.pages.get(request.path, reply(404))
            if isinstance(page, bytes):
                writer.write(page)
            else:
                await page(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def running_origin(tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """Listen on a free port of the loopback address."""
    origin = Origin()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(origin.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()

"""The museum's services, as fakes that speak HTTP on the loopback address."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

TLS = Path(__file__).parent / "tls"
"""A key that protects nothing, with its own certificate for the loopback address."""

GUID = "05ff2255-c38a-40c9-b657-4ccb55ab2feb"
IRN = 1234


def encoded(value: Any) -> Any:
    """A JSON value as Splitgill encodes it."""
    match value:
        case dict():
            return {key: encoded(inner) for key, inner in value.items()} | {"_msgs": 1}
        case list():
            return [encoded(inner) for inner in value]
        case _:
            return {"_u": value, "_k": str(value).lower(), "_t": str(value)}


@dataclass
class File:
    """A file, and how it is served."""

    body: bytes
    modified: float = 1_700_000_000.0
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    chunked: bool = False
    stamped: bool = True
    truncated: bool = False
    pause: float = 0.0


class Services:
    """All three in one server, on a thread of their own, so that tests may change them from anywhere.

    What is asked for is counted by kind: ``search``, ``access``, ``stamp``, ``file``, ``damsurl``, ``dams``.
    """

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.files: dict[str, File] = {}
        self.dams: dict[str, File] = {}
        self.damsurls: dict[str, str] = {}
        self.refused: dict[str, int] = {}
        """Statuses of access checks, by IRN."""
        self.failing: dict[str, int] = {}
        """Statuses of a kind of request."""
        self.pauses: dict[str, float] = {}
        """Seconds that a kind of request takes."""
        self.search_body: bytes | None = None
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.open = 0
        self.present: Counter[str] = Counter()
        """How many of a kind of request are there now."""
        self.most: Counter[str] = Counter()
        """How many were there at once."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    # What tests put in.

    def add(
        self,
        body: bytes,
        *,
        guid: str = GUID,
        irn: int = IRN,
        file: str = "original.tif",
        derivatives: dict[str, tuple[int, int, bytes]] | None = None,
        **data: Any,
    ) -> File:
        """Put an image in; its original comes back."""
        small = [
            {"file": name, "width": width, "height": height}
            for name, (width, height, _) in (derivatives or {}).items()
        ]
        document: dict[str, Any] = {"id": irn, "file": file, "guid": guid, **data}
        if small:
            document["derivatives"] = small
        self.documents.append(document)
        for name, (_, _, content) in (derivatives or {}).items():
            self.files[f"{irn}/{name}"] = File(content)
        original = self.files[f"{irn}/{file}"] = File(body)
        return original

    # The server.

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{index}/_search", self._search)
        app.router.add_get("/_cluster/health", self._health)
        app.router.add_get("/nhmlive/status", self._status)
        app.router.add_get("/nhmlive/{irn}", self._access)
        app.router.add_get("/nhmlive/{irn}/damsurl", self._damsurl)
        app.router.add_get("/nhmlive/{irn}/{file}", self._file)
        app.router.add_get("/dams/{file}", self._dams)
        app.router.add_get("/images/{file}", self._image)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(TLS / "museum.pem")
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        (host, port), (_, encrypted) = (address[:2] for address in runner.addresses)
        self.url = f"http://{host}:{port}"
        self.https_url = f"https://{host}:{encrypted}"
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _begin(self, kind: str, request: web.Request, body: Any = None) -> None:
        self.asked[kind] += 1
        self.requests.append((request.path_qs, dict(request.headers), body))
        self.present[kind] += 1
        self.most[kind] = max(self.most[kind], self.present[kind])
        try:
            await asyncio.sleep(self.pauses.get(kind, 0))
        finally:
            self.present[kind] -= 1
        if kind in self.failing:
            raise _status(self.failing[kind])

    async def _search(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._begin("search", request, body)
        if self.search_body is not None:
            return web.Response(body=self.search_body, content_type="application/json")
        ((key, wanted),) = body["query"]["bool"]["filter"][0]["term"].items()
        name = key.removeprefix("data.").removesuffix("._k")
        found = [one for one in self.documents if str(one.get(name)).lower() == str(wanted).lower()]
        hits = [{"_source": {"data": encoded(one), "version": 1}} for one in found[: body["size"]]]
        # As Elasticsearch 7.0 answers: it does not say what product it is.
        return web.json_response({"hits": {"total": {"value": len(found), "relation": "eq"}, "hits": hits}})

    async def _health(self, request: web.Request) -> web.Response:
        await self._begin("health", request)
        return web.json_response({"status": "yellow", "number_of_nodes": 1})

    async def _status(self, request: web.Request) -> web.Response:
        await self._begin("status", request)
        return web.json_response({"status": "ok", "queue": 3})

    async def _access(self, request: web.Request) -> web.Response:
        await self._begin("access", request)
        irn = request.match_info["irn"]
        if irn in self.refused:
            raise _status(self.refused[irn])
        return web.json_response({"irn": irn})

    async def _damsurl(self, request: web.Request) -> web.Response:
        await self._begin("damsurl", request)
        irn = request.match_info["irn"]
        if irn not in self.damsurls:
            raise web.HTTPNotFound
        return web.Response(text=self.damsurls[irn] + "\n")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await self._send("file", request, self.files.get("{irn}/{file}".format(**request.match_info)))

    async def _dams(self, request: web.Request) -> web.StreamResponse:
        return await self._send("dams", request, self.dams.get(request.match_info["file"]))

    async def _image(self, request: web.Request) -> web.StreamResponse:
        return await self._send("file", request, self.files.get(request.match_info["file"]))

    async def _send(self, kind: str, request: web.Request, file: File | None) -> web.StreamResponse:
        await self._begin("stamp" if "Range" in request.headers else kind, request)
        if file is None:
            raise web.HTTPNotFound
        headers = dict(file.headers)
        if file.stamped:
            headers["Last-Modified"] = email.utils.formatdate(file.modified, usegmt=True)
        if file.etag:
            headers["ETag"] = f'"{file.etag}"'
        body, status = file.body, 200
        if file.ranges and "Range" in request.headers:
            headers["Content-Range"] = f"bytes 0-0/{len(body)}"
            body, status = body[:1], 206
        response = web.StreamResponse(status=status, headers=headers)
        if not file.chunked:
            response.content_length = len(body)
        self.open += 1
        try:
            await response.prepare(request)
            for start in range(0, len(body), 65_536):
                if file.truncated and start:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                await asyncio.sleep(file.pause)
                await response.write(body[start : start + 65_536])
            await response.write_eof()
        finally:
            self.open -= 1
        return response


def _status(status: int) -> web.HTTPException:
    error = web.HTTPBadRequest()
    error.set_status(status)
    return error

"""What there is no room for is refused before the framework sees it, in its turn; all else is handed on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from iiif_server.errors import ServerBusy
from iiif_server.serving.application import ServedApplication
from iiif_server.serving.listening import listen
from iiif_server.telemetry.metrics import Metrics, RequestKey
from iiif_server.web.connections import CONNECTIONS, ConnectionLimits, Connections
from iiif_server.web.doorway import DOORWAY, Doorway, Refused
from iiif_server.web.heads import Wish
from iiif_server.web.observe import Described, Observer
from iiif_server.web.ready import Given, ReadyAnswers, head_of
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import error_document
from iiif_server.web.urls import PublicUrls
from tests.web.test_protocol import Client

BUSY = ServerBusy("The server is busy.", retry_after=7)


class Site:
    """Refuses what its refuser says, and answers all else with its path."""

    def __init__(self, port: int, app: web.Application, metrics: Metrics) -> None:
        self.port = port
        self.metrics = metrics
        self.connections = app[CONNECTIONS]
        self.doorway = app[DOORWAY]
        self.doorway.room = self
        self.has_room: Callable[[int], bool] = lambda _: False
        self.asked: list[bytes] = []
        self.looks: list[int] = []
        self.decide: Callable[[Wish], bool] = lambda wish: b"refused" in wish.target
        self.gate = asyncio.Event()
        self.gate.set()
        app.add_routes([web.get("/{name}", self.say)])

    async def say(self, request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    def is_full(self, ahead: int) -> bool:
        return not self.has_room(ahead)

    async def look(self, wishes: Sequence[Wish], ahead: int) -> Sequence[Refused | None]:
        self.asked += [wish.target for wish in wishes]
        self.looks.append(len(wishes))
        await self.gate.wait()
        return [self.unseen(wish, ahead) for wish in wishes]

    def unseen(self, wish: Wish, _ahead: int) -> Refused | None:
        if not self.decide(wish):
            return None
        headers, body = error_document(503, BUSY.public, None, BUSY.retry_after)
        key = RequestKey("image", "", "GET", 503, "")
        return Refused(
            BUSY, Given(head_of(503, headers, len(body)), body, Described(key, wish.target.decode()))
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    metrics = Metrics()
    observer = Observer(metrics, PublicUrls(), frozenset(), None, access_log=False, server_timing=False)
    app = web.Application()
    app[CONNECTIONS] = Connections(ConnectionLimits())
    app[DOORWAY] = Doorway(ReadyAnswers(observer), RefusalLog(), at_once=4, pause=0.02, most_waiting=8)
    (sock,) = listen("127.0.0.1", 0)
    made = Site(sock.getsockname()[1], app, metrics)
    serving = ServedApplication(app)
    try:
        await serving.start([sock])
        yield made
    finally:
        made.gate.set()
        await serving.end()
        sock.close()


async def test_a_refusal_has_all_that_one_has(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.connected() as client:
        client.ask("/refused")
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        body = await client.reader.readexactly(len(BUSY.public) + 1)

    assert head.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    for field in (
        "Retry-After: 7",
        "Cache-Control: no-store",
        "Access-Control-Allow-Origin: *",
        "Vary: Accept",
    ):
        assert f"\r\n{field}\r\n" in head
    assert "X-Request-ID" in head
    assert body.decode() == f"{BUSY.public}\n"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "GET /refused: 503" in caplog.text
    counted = site.metrics.registry.get_sample_value(
        "iiif_requests_total", {"kind": "image", "profile": "", "method": "GET", "status": "503"}
    )
    assert counted == 1


@pytest.mark.parametrize("together", [True, False])
async def test_answers_come_in_the_order_of_the_questions(site: Site, together: bool) -> None:
    """What comes while it is asked whether there is room waits for its turn."""
    wanted = [f"/{'refused' if number % 3 else 'a'}{number}" for number in range(30)]
    site.gate.clear()
    async with site.connected() as client:
        if together:
            client.ask(wanted[0])
            await asyncio.sleep(0.05)
            client.send(
                b"".join(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode() for path in wanted[1:])
            )
        else:
            for path in wanted:
                client.ask(path)
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        assert len(site.asked) == 1
        site.gate.set()
        for path in wanted:
            status, body = await client.receive()
            if status == 200:
                assert body == path
            else:
                assert (status, path[:8]) == (503, "/refused")
    assert site.doorway.ahead == 0


async def test_one_that_is_handed_on_is_answered(site: Site) -> None:
    async with site.connected() as client:
        for _ in range(3):
            for path in ("/a", "/refused", "/b"):
                client.ask(path)
                assert (await client.receive())[0] == (503 if path == "/refused" else 200)
    assert site.doorway.ahead == 0


async def test_whoever_leaves_meanwhile_leaves_nothing(site: Site) -> None:
    site.gate.clear()
    async with site.connected() as client:
        client.ask("/refused")
        while not site.asked:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while site.doorway.ahead or site.connections.all:
            await asyncio.sleep(0.01)
    assert site.doorway.ahead == 0


async def test_many_bytes_that_come_meanwhile_are_not_taken(site: Site) -> None:
    """No more than a head may have is kept; the rest stays with the client until there is an answer."""
    site.gate.clear()
    async with site.connected() as client:
        client.ask("/a")
        while not site.asked:
            await asyncio.sleep(0.01)
        client.send(b"GET /b HTTP/1.1\r\nHost: here\r\n\r\n" * 200_000)
        await asyncio.sleep(0.2)
        assert client.writer.transport.get_write_buffer_size() > 0
        site.gate.set()
        assert await client.receive() == (200, "/a")
        assert await client.receive() == (200, "/b")


async def test_what_fails_unforeseen_is_left_to_the_framework(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Wish) -> bool:
        raise RuntimeError("a mistake")

    site.decide = fail
    async with site.connected() as client:
        client.ask("/refused")
        assert await client.receive() == (200, "/refused")
    assert caplog.messages == ["it could not be told whether there is room"]


async def test_where_there_is_room_nobody_asks(site: Site) -> None:
    site.has_room = lambda ahead: ahead == 0
    async with site.connected() as client:
        client.ask("/refused")
        assert await client.receive() == (200, "/refused")
    assert site.asked == []


async def test_a_few_are_looked_at_together_and_most_of_a_flood_is_refused_unseen(site: Site) -> None:
    """And all are answered: no wish is lost, and none is looked at twice."""
    site.gate.clear()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(site.connected()) for _ in range(30)]
        clients[0].ask("/refused0")
        while not site.asked:
            await asyncio.sleep(0.01)
        for number, client in enumerate(clients[1:], 1):
            client.ask(f"/refused{number}")
        unseen = await asyncio.wait_for(asyncio.gather(*(each.receive() for each in clients[9:])), 10)
        assert site.looks == [1]
        site.gate.set()
        seen = await asyncio.gather(*(each.receive() for each in clients[:9]))

    assert {status for status, _ in (*seen, *unseen)} == {503}
    assert site.looks == [1, 4, 4]
    assert len(set(site.asked)) == 9


async def test_what_asks_for_no_work_is_answered_in_a_flood(site: Site) -> None:
    site.gate.clear()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(site.connected()) for _ in range(20)]
        clients[0].ask("/refused")
        while not site.asked:
            await asyncio.sleep(0.01)
        for client in clients[1:-1]:
            client.ask("/refused")
        refused = [asyncio.create_task(client.receive()) for client in clients[:-1]]
        await asyncio.wait(refused, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        clients[-1].ask("/info")
        assert await asyncio.wait_for(clients[-1].receive(), 10) == (200, "/info")
        assert not all(task.done() for task in refused)
        site.gate.set()
        await asyncio.gather(*refused)


async def test_once_it_is_ending_nothing_is_refused_before_the_framework(site: Site) -> None:
    """It says in its answers that they are the last ones."""
    site.gate.clear()
    async with site.connected() as client:
        client.ask("/refused")
        while not site.asked:
            await asyncio.sleep(0.01)
        site.doorway.stop()
        site.gate.set()
        assert await client.receive() == (200, "/refused")
        client.ask("/refused")
        assert await client.receive() == (200, "/refused")
    assert len(site.asked) == 1

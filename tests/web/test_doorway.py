"""What there is no room for is refused before the framework sees it, in its turn; all else is handed on."""

import asyncio
import functools
import logging
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from iiif_server.errors import ServerBusy
from iiif_server.serving.application import ServedApplication
from iiif_server.serving.listening import listen
from iiif_server.serving.tally import Tally
from iiif_server.telemetry.metrics import Metrics, RequestKey
from iiif_server.telemetry.timings import Trace
from iiif_server.web.connections import CONNECTIONS, ConnectionLimits, Connections
from iiif_server.web.doorway import DOORWAY, Doorway, Fetch, Refused
from iiif_server.web.heads import Wish
from iiif_server.web.observe import Described, Observer
from iiif_server.web.ready import Given, ReadyAnswers, head_of
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import error_document
from iiif_server.web.urls import PublicUrls
from tests.web.test_protocol import Client

BUSY = ServerBusy("The server is busy.", retry_after=7)
KEY = RequestKey("image", "", "GET", 200, "disk")


class Site:
    """Refuses what its refuser says, and answers all else with its path."""

    def __init__(self, port: int, app: web.Application) -> None:
        self.port = port
        self.metrics = Metrics()
        self.connections = app[CONNECTIONS] = Connections(ConnectionLimits())
        observer = Observer(
            self.metrics, PublicUrls(), frozenset(), None, access_log=False, server_timing=False
        )
        answers = ReadyAnswers(observer, lambda _: None)
        self.doorway = app[DOORWAY] = Doorway(
            answers, self, observer, RefusalLog(), at_once=4, pause=0.02, most_waiting=8
        )
        self.has_room: Callable[[int], bool] = lambda _: False
        self.asked: list[bytes] = []
        self.looks: list[int] = []
        self.begun: list[bytes] = []
        self.decide: Callable[[Wish], bool] = lambda wish: b"refused" in wish.target
        self.bring: Callable[[Wish, Trace], Awaitable[Given | Refused | None]] = self._bring
        self.gate = asyncio.Event()
        self.gate.set()
        app.add_routes([web.get("/{name:.*}", self.say)])

    async def say(self, request: web.Request) -> web.Response:
        response = web.Response(text=request.path)
        if request.path.startswith("/slow"):
            await self.gate.wait()
        if request.path.endswith("last"):
            response.force_close()
        return response

    def is_full(self, ahead: int) -> bool:
        return not self.has_room(ahead)

    def takes_work(self, wish: Wish) -> bool:
        return not wish.target.startswith(b"/info")

    async def look(self, wishes: Sequence[Wish], ahead: int) -> Sequence[Refused | None]:
        self.asked += [wish.target for wish in wishes]
        self.looks.append(len(wishes))
        await self.gate.wait()
        return [self.unseen(wish, ahead) for wish in wishes]

    def fetch(self, wish: Wish) -> Fetch | None:
        return functools.partial(self.bring, wish) if b"stored" in wish.target else None

    def describe(self, wish: Wish, status: int) -> Described:
        return Described(RequestKey("image", "", "GET", status, ""), wish.target.decode())

    async def _bring(self, wish: Wish, _: Trace) -> Given | None:
        self.begun.append(wish.target)
        body = wish.target + b" as it is stored"
        return Given(head_of(200, {}, len(body)), body, Described(KEY, wish.target.decode()))

    def unseen(self, wish: Wish, _ahead: int) -> Refused | None:
        if not self.decide(wish):
            return None
        headers, body = error_document(503, BUSY.public, None, BUSY.retry_after)
        key = RequestKey("image", "", "GET", 503, "")
        return Refused(
            BUSY, Given(head_of(503, headers, len(body)), body, Described(key, wish.target.decode()))
        )

    def counted(self, status: int) -> float:
        labels = {"kind": "image", "profile": "", "method": "GET", "status": str(status)}
        return self.metrics.registry.get_sample_value("iiif_requests_total", labels) or 0

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
    app = web.Application()
    (sock,) = listen("127.0.0.1", 0)
    made = Site(sock.getsockname()[1], app)
    serving = ServedApplication(app, Tally.alone())
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
    assert site.counted(503) == 1


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
        client.writer.transport.abort()  # the rest of them would take seconds


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


async def test_who_waits_is_let_in_once_there_is_room(site: Site) -> None:
    """Those who came first, as many as there is room for; at these, nobody looks."""
    site.gate.clear()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(site.connected()) for _ in range(8)]
        for number, client in enumerate(clients):
            client.ask(f"/refused{number}")
            await asyncio.sleep(0.01)
        assert site.looks == [1]
        places = iter([True] * 3)
        site.has_room = lambda _: next(places, False)
        site.gate.set()
        found = [(await client.receive())[0] for client in clients]

    assert found == [503, 200, 200, 200, 503, 503, 503, 503]
    assert site.asked == [f"/refused{number}".encode() for number in (0, 4, 5, 6, 7)]


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


async def test_what_was_ready_does_not_wait_for_room(site: Site) -> None:
    """It is asked whether it is still right, and that takes no work."""
    holds = iter([True, True, False])

    async def bring(wish: Wish, trace: Trace) -> Given:
        given = await site._bring(wish, trace)
        assert given is not None
        return given._replace(again=lambda: given.body if next(holds) else None)

    site.bring = bring
    site.has_room = lambda _: True
    async with site.connected() as client:
        for _ in range(2):
            client.ask("/stored")
            assert await client.receive() == (200, "/stored as it is stored")
            site.has_room = lambda _: False
        client.ask("/stored")
        assert await client.receive() == (200, "/stored")  # by the framework
    assert site.asked == []


async def test_a_mistake_before_an_answer_is_left_to_the_framework(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site, "fetch", lambda _: 1 / 0)
    site.has_room = lambda _: True
    async with site.connected() as client:
        client.ask("/stored")
        assert await client.receive() == (200, "/stored")
    assert caplog.messages == ["it could not be told whether there is an answer"]


@pytest.mark.parametrize("is_full", [True, False])
async def test_what_is_somewhere_near_is_fetched(site: Site, is_full: bool) -> None:
    """Whether there is room for more work or not: it takes none. It is counted like all others."""
    site.has_room = lambda _: not is_full
    async with site.connected() as client:
        for path, body in (("/stored", "/stored as it is stored"), ("/a", "/a")) * 2:
            client.ask(path)
            assert await client.receive() == (200, body)
    assert site.counted(200) == 2
    assert site.doorway.ahead == 0


async def test_what_is_not_to_be_had_is_left_to_the_framework(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Because it is none of what is answered here, or by a mistake."""

    async def nothing(*_: object) -> None:
        pass

    async def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    site.has_room = lambda _: True
    async with site.connected() as client:
        for bring in (nothing, fail):
            site.bring = bring
            client.ask("/stored")
            assert await client.receive() == (200, "/stored")
    assert caplog.messages == ["an answer could not be made"]
    assert site.doorway.ahead == 0


async def test_what_comes_while_the_framework_answers_need_not_take_its_way(site: Site) -> None:
    """Its turn comes after that answer; and so does that of all others."""
    site.has_room = lambda _: True
    site.gate.clear()
    wanted = ["/slow", "/stored", "/a", "/stored", "/stored?a=query", "/stored"]
    async with site.connected() as client:
        for path in wanted:
            client.ask(path)
            await asyncio.sleep(0.01)
        site.gate.set()
        got = [(await client.receive())[1] for _ in wanted]
    stored = "/stored as it is stored"
    assert got == ["/slow", stored, "/a", stored, "/stored", stored]
    assert site.doorway.ahead == 0


async def test_after_an_answer_that_is_the_last_one_there_is_none(site: Site) -> None:
    site.has_room = lambda _: True
    site.gate.clear()
    async with site.connected() as client:
        client.ask("/slow/last")
        await asyncio.sleep(0.01)
        client.ask("/stored")
        await asyncio.sleep(0.01)
        site.gate.set()
        assert await client.receive() == (200, "/slow/last")
        assert await client.reader.read() == b""
    assert site.doorway.ahead == 0


async def test_whoever_leaves_while_an_answer_is_made_leaves_nothing(site: Site) -> None:
    """What is done for it is cancelled, and counted as the framework counts it."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    site.bring = hang
    site.has_room = lambda _: True
    async with site.connected() as client:
        client.ask("/stored")
        await begun.wait()
    await asyncio.wait_for(cancelled.wait(), 10)
    async with asyncio.timeout(10):
        while site.connections.all or not site.counted(499):
            await asyncio.sleep(0.01)
    assert site.doorway.ahead == 0
    aborted = site.metrics.registry.get_sample_value("iiif_responses_aborted_total", {"kind": "image"})
    assert (site.counted(499), aborted) == (1, 1)
    async with site.connected() as client:
        client.ask("/a")
        assert await client.receive() == (200, "/a")


async def test_whoever_leaves_before_it_is_begun_is_not_in_the_way(site: Site) -> None:
    """Neither while there is room nor while there is none is anything begun for them."""
    told: list[object] = []
    for places in (1, 0):
        site.has_room = functools.partial(operator.gt, places)
        asked = site.doorway.ask(Wish(b"/stored", b"here", None, None), "", told.append)
        assert asked is not None
        asked.leave()
    async with asyncio.timeout(10):
        while site.counted(499) < 2:
            await asyncio.sleep(0.01)
    assert (site.begun, told, site.doorway.ahead) == ([], [], 0)


async def test_many_at_once_find_no_more_room_than_there_is(site: Site) -> None:
    """In one turn of the event loop: those let in count before anything is begun for them."""
    site.has_room = lambda ahead: ahead + len(site.begun) < 3
    told: list[tuple[bytes, bytes] | None] = []
    wish = Wish(b"/stored/refused", b"here", None, None)
    for _ in range(10):
        assert site.doorway.ask(wish, "", told.append) is not None
    assert site.doorway.ahead == 3
    async with asyncio.timeout(10):
        while len(told) < 10:
            await asyncio.sleep(0.01)
    assert sum(answer is not None and b" 503 " in answer[0] for answer in told) == 7
    assert site.doorway.ahead == 0


@pytest.mark.parametrize("status", [503, 404])
async def test_what_fails_while_it_is_made_is_answered(
    site: Site, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: a refusal is logged as all refusals are, and nothing is done again by the framework."""

    async def fail(wish: Wish, _: Trace) -> Given | Refused:
        headers, body = error_document(status, "No.", None, None)
        given = Given(head_of(status, headers, len(body)), body, site.describe(wish, status))
        return Refused(BUSY, given) if status == 503 else given

    site.has_room = lambda _: True
    site.bring = fail
    async with site.connected() as client:
        client.ask("/stored")
        assert await client.receive() == (status, "No.\n")
    assert len(caplog.messages) == (status == 503)
    assert site.counted(status) == 1


async def test_what_is_made_while_it_ends_is_answered_by_the_framework(site: Site) -> None:
    """At once, so that it waits for what is under way; that goes on."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def bring(wish: Wish, trace: Trace) -> Given | None:
        begun.set()
        await site.gate.wait()
        ended.set()
        return await site._bring(wish, trace)

    site.gate.clear()
    site.bring = bring
    site.has_room = lambda _: True
    async with site.connected() as client:
        client.ask("/stored")
        await begun.wait()
        site.doorway.stop()
        assert await client.receive() == (200, "/stored")
        site.gate.set()
        await asyncio.wait_for(ended.wait(), 10)
        client.ask("/a")
        assert await client.receive() == (200, "/a")


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

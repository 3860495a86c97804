"""Connections of a served application, with limits so short that a test can wait for them."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from iiif_server.serving import application
from iiif_server.serving.application import ServedApplication
from iiif_server.serving.listening import listen
from iiif_server.serving.tally import Tally
from iiif_server.web.connections import CONNECTIONS, Connection, ConnectionLimits, Connections
from iiif_server.web.protocol import HTTP_OPTIONS

SHORT = 0.5
LONG = 60.0
HOUR = 3600.0
LARGE = 8 << 20


class Site:
    """An application that answers at once, when it is told to, or with much."""

    def __init__(self, port, app):
        self.port = port
        self.connections = app[CONNECTIONS]
        self.released = asyncio.Event()
        app.add_routes(
            [
                web.get("/", self.say),
                web.get("/wait", self.wait),
                web.get("/large", self.large),
                web.post("/", self.read),
            ]
        )

    async def say(self, _):
        return web.Response(text="hello")

    async def wait(self, _):
        await self.released.wait()
        return web.Response(text="at last")

    async def large(self, _):
        return web.Response(body=bytes(LARGE))

    async def read(self, request):
        return web.Response(text=str(len(await request.read())))

    @asynccontextmanager
    async def connected(self, address="127.0.0.1"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def until_open(self, count):
        async with asyncio.timeout(20):
            while len(self.connections.all) != count:
                await asyncio.sleep(0.01)


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    def ask(self, path="/", method="GET"):
        self.send(f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())

    async def receive(self):
        """Status and body of an answer."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return int(head.split()[1]), (await self.reader.readexactly(length)).decode()

    async def rest(self):
        """What comes until the end."""
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                return await self.reader.read()
            return b"reset"


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture
def serve(monkeypatch):
    """A context with a site in it, which has the limits that it is called with."""
    monkeypatch.setattr(application, "_SWEEP_SECONDS", 0.02)

    @asynccontextmanager
    async def served(**limits):
        values = {"head_seconds": LONG, "idle_seconds": LONG, "send_seconds": LONG, **limits}
        app = web.Application(client_max_size=2 << 20)
        app[CONNECTIONS] = Connections(ConnectionLimits(**values))
        app[HTTP_OPTIONS] = {"max_line_size": 8192, "max_field_size": 16384, "lingering_time": SHORT}
        (sock,) = listen("127.0.0.1", 0)
        site = Site(sock.getsockname()[1], app)
        serving = ServedApplication(app, Tally.alone())
        try:
            await serving.start([sock])
            yield site
            await site.until_open(0)
        finally:
            await serving.end()
            sock.close()

    return served


async def test_a_silent_connection_is_closed(serve):
    async with serve(head_seconds=SHORT) as site, site.connected() as client:
        assert await client.rest() == b""


class Trickle:
    """Bytes that come one by one, by a clock that stands still until each was read."""

    def __init__(self, site, monkeypatch):
        self.now, self.heard, self.sweeps = 0.0, 0, 0
        hear, sweep = Connection.heard, site.connections.sweep

        def heard(connection):
            self.heard += 1
            hear(connection)

        def swept():
            sweep()
            self.sweeps += 1

        monkeypatch.setattr(Connection, "heard", heard)
        monkeypatch.setattr(site.connections, "sweep", swept)
        monkeypatch.setattr(site.connections, "clock", lambda: self.now)

    async def send(self, client, byte):
        before = self.heard
        client.send(byte)
        await until(lambda: self.heard > before)

    async def go_on(self, seconds):
        self.now += seconds
        before = self.sweeps
        await until(lambda: self.sweeps > before)


@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_head_that_trickles_is_refused(serve, monkeypatch, asked_before):
    """Each byte comes soon after the one before it, and no byte is under way when it is refused."""
    async with serve(head_seconds=HOUR, idle_seconds=2 * HOUR) as site:
        trickle = Trickle(site, monkeypatch)
        async with site.connected() as client:
            if asked_before:
                client.ask()
                assert await client.receive() == (200, "hello")
            sent = 0
            for byte in b"GET / HTTP/1.1":
                sent += 1
                await trickle.send(client, bytes([byte]))
                await trickle.go_on(HOUR / 4)
                if site.connections.counts["late"]:
                    break
            answer = await client.rest()

    assert sent == 4
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Access-Control-Allow-Origin: *" in answer


async def test_an_idle_connection_is_closed_without_a_word(serve):
    async with serve(idle_seconds=SHORT) as site, site.connected() as client:
        client.ask()
        assert await client.receive() == (200, "hello")
        assert await client.rest() == b""


async def test_a_request_that_takes_long_is_left_alone(serve):
    async with serve(idle_seconds=SHORT, head_seconds=SHORT) as site, site.connected() as client:
        client.ask("/wait")
        await asyncio.sleep(3 * SHORT)
        site.released.set()

        assert await client.receive() == (200, "at last")


async def test_requests_that_come_together_are_all_answered(serve):
    async with serve(idle_seconds=SHORT, head_seconds=SHORT) as site, site.connected() as client:
        for path in ("/", "/wait", "/"):
            client.ask(path)
        await asyncio.sleep(3 * SHORT)
        site.released.set()
        texts = [await client.receive() for _ in range(3)]

        assert texts == [(200, "hello"), (200, "at last"), (200, "hello")]
        assert await client.rest() == b""


async def test_a_body_is_no_head(serve):
    """However large it is, and whatever comes with its head."""
    async with serve() as site, site.connected() as client:
        for size in (100, 500_000, 1 << 20):
            head = f"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {size}\r\n\r\n"
            client.send(head.encode() + bytes(size))
            assert await client.receive() == (200, str(size))


async def test_a_head_of_many_fields_is_refused(serve):
    async with serve() as site, site.connected() as client:
        client.send(b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"a" * 8000) for n in range(10)))

        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


def send_on_and_on(port):
    """Send a head that does not end, for a second, and only then look what came."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            connection.sendall(b"X: %s\r\n" % (b"a" * 8000))
            time.sleep(0.01)
        return connection.recv(1 << 16)


async def test_a_refusal_is_read_though_more_of_the_head_is_on_its_way(serve):
    """A connection that is closed while bytes come is reset, and the answer is lost with it."""
    async with serve() as site:
        answer = await asyncio.to_thread(send_on_and_on, site.port)

    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_who_takes_nothing_is_cut_off_and_nobody_else(serve):
    async with serve(send_seconds=SHORT) as site:
        async with site.connected() as stuck, site.connected() as good:
            stuck.writer.transport.pause_reading()
            stuck.ask("/large")
            await site.until_open(1 + 1)
            good.ask("/large")
            assert await good.receive() == (200, "\0" * LARGE)
            await site.until_open(1)
            good.ask()
            assert await good.receive() == (200, "hello")
        assert site.connections.counts["stalled"] == 1


async def test_one_too_many_is_told_so(serve):
    async with serve(most=2) as site, site.connected() as one, site.connected() as two:
        one.ask("/wait")
        two.ask("/wait")
        await site.until_open(2)
        await asyncio.sleep(SHORT)
        for _ in range(3):
            async with site.connected() as third:
                third.ask()
                status, _ = await third.receive()
                assert status == 503
                assert await third.rest() == b""
        site.released.set()
        assert await one.receive() == await two.receive() == (200, "at last")
        assert site.connections.counts["refused"] == 3


async def test_the_longest_waiting_makes_room(serve):
    async with serve(most=2) as site, site.connected() as one, site.connected() as two:
        one.ask()
        assert await one.receive() == (200, "hello")
        two.ask("/wait")
        await asyncio.sleep(0.6)  # who has just come or just been answered is spared
        async with site.connected() as third:
            third.ask()
            assert await third.receive() == (200, "hello")
            assert await one.rest() == b""
        site.released.set()
        assert await two.receive() == (200, "at last")


async def test_one_address_does_not_shut_out_another(serve):
    async with serve(most=4, most_per_client=2) as site, site.connected() as one, site.connected() as two:
        one.ask("/wait")
        two.ask("/wait")
        await site.until_open(2)
        async with site.connected("127.0.0.2") as other, site.connected() as third:
            other.ask()
            third.ask()
            assert await other.receive() == (200, "hello")
            assert (await third.receive())[0] == 429
        site.released.set()
        assert await one.receive() == await two.receive() == (200, "at last")


async def test_very_many_refused_ones_do_not_linger(serve):
    async with serve(most=1) as site, site.connected() as busy:
        busy.ask("/wait")
        await site.until_open(1)
        refused = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(200)]
        for reader, writer in refused:
            async with asyncio.timeout(20):
                assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            writer.close()
        site.released.set()
        assert await busy.receive() == (200, "at last")


async def test_half_a_connection_is_none(serve):
    """A client that closes its side is taken to have gone: the work for it ends."""
    async with serve() as site, site.connected() as client:
        client.ask("/wait")
        await site.until_open(1)
        client.writer.write_eof()
        await site.until_open(0)
        assert await client.rest() == b""


async def test_the_end_waits_for_no_refused_one(serve):
    async with serve(most=1) as site, site.connected() as busy:
        busy.ask()
        assert await busy.receive() == (200, "hello")
        busy.ask("/wait")
        await asyncio.sleep(SHORT)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        site.released.set()
    # Nothing is left behind: the fixtures of all tests look.
    writer.close()

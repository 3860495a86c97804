"""Applications that take turns on the same sockets, with clients that hold them to it."""

import asyncio
import logging
import weakref
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from iiif_server.errors import ConfigurationError
from iiif_server.execution.pool import WorkerStartFailed
from iiif_server.serving import application
from iiif_server.serving.listening import listen
from iiif_server.serving.server import Server
from iiif_server.serving.tally import Tally


class Made:
    """Applications that say which they are, and what became of them."""

    def __init__(self):
        self.applications = []
        self.log = []
        self.released = asyncio.Event()

    def build(self, name):
        app = web.Application(middlewares=[pass_on])
        self.applications.append(weakref.ref(app))

        async def life(_):
            self.log.append(f"{name} starts")
            yield
            self.log.append(f"{name} ends")

        async def say(_):
            return web.Response(text=name)

        async def wait(_):
            self.log.append(f"{name} waits")
            await self.released.wait()
            return web.Response(text=name)

        app.cleanup_ctx.append(life)
        app.add_routes([web.get("/", say), web.get("/wait", wait)])
        return app

    def builder(self, name):
        return lambda: self.build(name)


@web.middleware
async def pass_on(request, handler):
    return await handler(request)


def broken():
    raise ConfigurationError(["a mistake"])


def unable():
    async def life(_):
        raise WorkerStartFailed("no memory")
        yield

    app = web.Application()
    app.cleanup_ctx.append(life)
    return app


@pytest.fixture
def made():
    return Made()


@pytest.fixture
async def serving(made):
    sockets = listen("127.0.0.1", 0)
    server = Server(sockets, Tally.alone())
    await server.start(made.builder("first"))
    yield server, sockets[0].getsockname()[1]
    await server.close()
    for sock in sockets:
        sock.close()


class Client:
    """A connection that is kept."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, path="/"):
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())

    async def receive(self):
        """Whether the connection is kept, and the body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return "connection: close" not in head, (await self.reader.readexactly(length)).decode()

    async def ask(self, path="/"):
        await self.send(path)
        return await self.receive()


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_next_one_answers_and_the_former_finishes(serving, made):
    server, port = serving
    async with connected(port) as busy, connected(port) as idle, connected(port) as silent:
        assert await idle.ask() == (True, "first")
        await busy.send("/wait")
        await until(lambda: "first waits" in made.log)
        await server.reload(made.builder("second"))
        async with connected(port) as fresh:
            assert await fresh.ask() == (True, "second")
        # Whoever has a connection to the former one is answered by it, and told to make another.
        assert await idle.ask() == (False, "first")
        assert await silent.ask() == (False, "first")
        assert await idle.reader.read() == b""
        assert "first ends" not in made.log
        made.released.set()
        assert await busy.receive() == (False, "first")
        await until(lambda: "first ends" in made.log)


async def test_idle_connections_do_not_keep_the_former_for_ever(serving, made, monkeypatch):
    monkeypatch.setattr(application, "LINGER_SECONDS", 0.1)
    server, port = serving
    async with connected(port) as idle:
        assert await idle.ask() == (True, "first")
        await server.reload(made.builder("second"))
        await until(lambda: "first ends" in made.log)
        assert await idle.reader.read() == b""


@pytest.mark.parametrize(("build", "reason"), [(broken, "a mistake"), (unable, "no memory")])
async def test_what_cannot_start_leaves_the_former_alone(serving, made, build, reason):
    server, port = serving
    level = logging.getLogger("iiif_server").level

    def build_after_a_change():
        logging.getLogger("iiif_server").setLevel("CRITICAL")
        return build()

    async with connected(port) as kept:
        assert await kept.ask() == (True, "first")
        with pytest.raises(ConfigurationError, match=reason):
            await server.reload(build_after_a_change)
        assert await kept.ask() == (True, "first")
    assert made.log == ["first starts"]
    assert logging.getLogger("iiif_server").level == level


async def test_there_are_never_more_than_two(serving, made, monkeypatch):
    monkeypatch.setattr(application, "LINGER_SECONDS", 0.1)
    server, port = serving
    async with connected(port) as idle:
        await idle.ask()
        for name in ("second", "third", "fourth"):
            await server.reload(made.builder(name))
    assert made.log.index("first ends") < made.log.index("third starts")
    assert made.log.index("second ends") < made.log.index("fourth starts")


async def test_nothing_is_kept_of_the_former(serving, made, monkeypatch):
    monkeypatch.setattr(application, "LINGER_SECONDS", 0.1)
    server, port = serving
    for number in range(4):
        async with connected(port) as client:
            await client.ask()
        await server.reload(made.builder(f"number {number}"))
    await until(lambda: made.log.count("number 2 ends") == 1)
    await until(lambda: [ref() is None for ref in made.applications] == [True] * 4 + [False])


async def test_closing_answers_what_was_asked(serving, made):
    server, port = serving
    async with connected(port) as busy, connected(port) as idle:
        await idle.ask()
        await busy.send("/wait")
        await until(lambda: "first waits" in made.log)
        closing = asyncio.create_task(server.close())
        assert await idle.reader.read() == b""
        made.released.set()
        assert await busy.receive() == (False, "first")
        await closing
    assert made.log[-1] == "first ends"


async def test_closing_waits_for_nobody_for_ever(serving, made, monkeypatch):
    monkeypatch.setattr(application, "SHUTDOWN_SECONDS", 0.1)
    server, port = serving
    async with connected(port) as busy:
        await busy.send("/wait")
        await until(lambda: "first waits" in made.log)
        await server.close()
        assert made.log[-1] == "first ends"
        assert await busy.reader.read() == b""


async def test_closing_while_the_former_still_lingers(serving, made):
    server, port = serving
    async with connected(port) as idle:
        await idle.ask()
        await server.reload(made.builder("second"))
        await server.close()
        assert await idle.reader.read() == b""
    assert sorted(made.log) == ["first ends", "first starts", "second ends", "second starts"]

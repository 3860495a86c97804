"""What is done to the server, one thing after the other."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.soak.clients import Crowd, burst
from benchmarks.soak.site import HEAD_SECONDS, TASK_SECONDS, WORKERS, Site
from benchmarks.soak.targets import burst_of
from benchmarks.soak.windows import RULES
from tests.chaos.raw import RawClient

SECONDS = 6.0
"""For so long a source is corrupt or away, or a disk full."""

CROWD = 50
BURST = 200


@dataclass
class Saboteur:
    """Hurts a server.

    Args:
        site: whose server.
        crowd: who asks meanwhile.
        sizes: of the sources.
        every: seconds from the beginning of one fault to that of the next.
    """

    site: Site
    crowd: Crowd
    sizes: dict[str, tuple[int, int]]
    every: float
    chance: random.Random

    async def run(self) -> None:
        """Go through all kinds, in another order each time, until cancelled."""
        due = time.monotonic() + self.every / 2
        for kind in self._kinds():
            await asyncio.sleep(due - time.monotonic())
            await self._hurt(kind)
            due = max(due + self.every, time.monotonic())

    def _kinds(self) -> Iterator[str]:
        while True:
            kinds = list(RULES)
            self.chance.shuffle(kinds)
            yield from kinds

    async def _hurt(self, kind: str) -> None:
        source = self.chance.choice(sorted(self.sizes)) if RULES[kind].of_source_only else None
        window = self.crowd.windows.open(kind, source)
        actions: dict[str, Callable[[], Awaitable[None]]] = {
            "kill a worker": lambda: self._kill(1),
            "kill all workers": lambda: self._kill(WORKERS),
            "stop a worker": self._stop,
            "corrupt a source": lambda: self._replace(source or "", corrupt=True),
            "delete a source": lambda: self._replace(source or "", corrupt=False),
            "full disk": lambda: self._fail_disk("ENOSPC"),
            "read-only disk": lambda: self._fail_disk("EROFS"),
            "delete the caches": self._delete_caches,
            "clients that leave": self._leave,
            "silent sockets": self._be_silent,
            "burst": lambda: burst(self.crowd, burst_of(self.sizes, BURST, self.chance)),
            "reload": self._reload,
        }
        try:
            await actions[kind]()
        finally:
            window.close()
        await self._workers_return()

    async def _kill(self, count: int) -> None:
        for worker in self.site.server.workers()[:count]:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()

    async def _workers_return(self) -> None:
        if not await _comes_true(lambda: len(self.site.server.workers()) == WORKERS, 15):
            self.crowd.tally.complain(f"{len(self.site.server.workers())} workers instead of {WORKERS}")

    async def _stop(self) -> None:
        workers = self.site.server.workers()
        if not workers:
            return
        workers[0].send_signal(signal.SIGSTOP)
        if not await _comes_true(lambda: not workers[0].is_running(), TASK_SECONDS + 20):
            self.crowd.tally.complain("a stopped worker was not replaced")
            workers[0].kill()

    async def _replace(self, name: str, *, corrupt: bool) -> None:
        """Replace a source by another file, or nothing; then the same again, as a new file of its time."""
        path = self.site.images / name
        content, times = path.read_bytes(), path.stat()
        try:
            if corrupt:
                _put(path, self._spoilt(content))
            else:
                path.unlink()
            await asyncio.sleep(SECONDS)
        finally:
            _put(path, content, (times.st_atime_ns, times.st_mtime_ns))

    def _spoilt(self, content: bytes) -> bytes:
        """What no part of can be shown: a part of an image might be."""
        noise = self.chance.randbytes(len(content) - 4)
        return self.chance.choice((b"", b"This is no image.\n" * 1000, content[:4] + noise))

    async def _fail_disk(self, error: str) -> None:
        self.site.disk_fault.write_text(error)
        try:
            await asyncio.sleep(SECONDS)
            # These are to be kept as well: else nothing might be written meanwhile, and nothing be shown.
            await burst(self.crowd, burst_of(self.sizes, 5, self.chance))
            if not await _comes_true(self._disk_fails, 5):
                self.crowd.tally.complain(f"{error} did not reach the cache")
        finally:
            self.site.disk_fault.unlink()

    def _disk_fails(self) -> bool:
        with RawClient(self.site.server.port) as client:
            return b"iiif_disk_cache_failing 1.0" in client.get("/metrics").body

    async def _delete_caches(self) -> None:
        for directory in self.site.cache.iterdir():
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _leave(self) -> None:
        """Go amid the answer, or before it."""
        for target in burst_of(self.sizes, CROWD, self.chance):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.site.server.port)
            path = self.chance.choice((target.path, f"/{target.sources[0]}/original"))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.02):
                    await reader.read(self.chance.randrange(1, 5000))
            writer.transport.abort()

    async def _be_silent(self) -> None:
        """Say nothing, or half a word; the server has to end it."""
        sockets = [socket.create_connection(("127.0.0.1", self.site.server.port or 0)) for _ in range(CROWD)]
        try:
            for each in sockets[::2]:
                each.sendall(b"GET /photo.jpg/info")
            if not await _comes_true(lambda: all(map(_is_ended, sockets)), HEAD_SECONDS + 10):
                open_still = sum(not _is_ended(each) for each in sockets)
                self.crowd.tally.complain(f"{open_still} silent connections were not ended")
        finally:
            for each in sockets:
                each.close()

    async def _reload(self) -> None:
        before = set(self.site.server.workers())
        os.kill(self.site.server.pid, signal.SIGHUP)
        if not await _comes_true(lambda: before.isdisjoint(self.site.server.workers()), 30):
            self.crowd.tally.complain("SIGHUP did not reload")


async def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.25)
    return True


def _is_ended(sock: socket.socket) -> bool:
    """Whether the server has closed a connection, perhaps after a few words."""
    sock.setblocking(False)
    try:
        while sock.recv(1 << 12):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def _put(path: Path, content: bytes, times: tuple[int, int] | None = None) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    if times is not None:
        os.utime(beside, ns=times)
    beside.replace(path)

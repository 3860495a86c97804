"""Stored tiles of a pyramidal TIFF beside a bare aiohttp handler that sends as many constant bytes.

    python -m benchmarks.stored_tiles [--side 8192] [--rounds 3] [--seconds 3] [--clients 8]

The pyramid is made anew, of 256 px JPEG tiles. In each round the ways take turns, so that what else the
machine does hurts all alike. Of each the requests per second, the server process's time for one request, and
what share of the bare handler's speed that is:

- *bare*: one route, one response;
- *copied*: tiles at the size that they are stored in, none of which is in a cache;
- *memory*: twenty tiles of 512 px, again and again;
- *rendered*: tiles of 512 px, each once: four stored ones, decoded and encoded.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import tifffile
from aiohttp import web
from tests.support.pictures import drawn_picture
from tests.support.server import ServerProcess, free_port, serve_command

TILE = 256
CONFIG = """\
cache_path: {scratch}/cache
default_profile: files
profiles:
  files: {{type: disk, path: {scratch}/images, rights: "http://example.org/rights"}}
"""


def write_pyramid(path: Path, side: int) -> float:
    """A square pyramid of one picture, repeated; the mean bytes of its tiles at full size."""
    repeats = -(-side // 2048)
    pixels = np.tile(np.asarray(drawn_picture(2048, 2048)), (repeats, repeats, 1))[:side, :side]
    levels = [pixels]
    while max(levels[-1].shape[:2]) > TILE:
        levels.append(np.ascontiguousarray(levels[-1][::2, ::2]))
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, level in enumerate(levels):
            writer.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 90},
                tile=(TILE, TILE),
                subfiletype=int(number > 0),
            )
    with tifffile.TiffFile(path) as tiff:
        return statistics.mean(tiff.pages.first.databytecounts)


def paths(side: int, size: int) -> list[str]:
    """Every whole tile of this size at full scale, in an order that jumps about."""
    found = [
        f"/a.tif/{x},{y},{size},{size}/{size},{size}/0/default.jpg"
        for y in range(0, side - size + 1, size)
        for x in range(0, side - size + 1, size)
    ]
    random.Random(8).shuffle(found)
    return found


async def client(port: int, requests: Iterator[str], until: float) -> int:
    """Ask over one connection, as fast as answers come; how many came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    count = 0
    try:
        while time.monotonic() < until:
            path = next(requests, None)
            if path is None:
                break
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"{path}: {head!r}")
            start = head.index(b"content-length:") + 15
            await reader.readexactly(int(head[start : head.index(b"\r", start)]))
            count += 1
    finally:
        writer.close()
    return count


async def load(port: int, requests: Iterator[str], clients: int, seconds: float) -> float:
    """Answers per second."""
    started = time.monotonic()
    counts = await asyncio.gather(*(client(port, requests, started + seconds) for _ in range(clients)))
    return sum(counts) / (time.monotonic() - started)


def measure(pid: int, port: int, requests: Iterator[str], options: argparse.Namespace) -> tuple[float, float]:
    """Requests per second, and microseconds of the process for each."""
    process = psutil.Process(pid)
    before, started = process.cpu_times(), time.monotonic()
    rate = asyncio.run(load(port, requests, options.clients, options.seconds))
    count, after = rate * (time.monotonic() - started), process.cpu_times()
    return rate, (after.user + after.system - before.user - before.system) / count * 1e6


def serve_bare(port: int, size: int) -> None:
    """The handler that everything is measured against."""
    body = b"x" * size

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{identifier}/{region}/{size}/{rotation}/{quality_format}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def wait_for(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            asyncio.run(load(port, iter(["/a/b/c/d/e"]), 1, 1))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def compare(server: ServerProcess, options: argparse.Namespace, size: int) -> None:
    """Let the ways take turns, and print a table."""
    assert server.port is not None
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "benchmarks.stored_tiles", "--bare", str(port), str(size)])
    try:
        wait_for(port)
        native, wide = paths(options.side, TILE), paths(options.side, 2 * TILE)
        hot, rest = wide[:20], iter(wide[20:])
        asyncio.run(load(server.port, iter([*native[:20], *hot]), 4, 60))
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(options.rounds):
            for name, pid, at, requests in (
                ("bare", bare.pid, port, itertools.cycle(native)),
                ("copied", server.pid, server.port, itertools.cycle(native)),
                ("memory", server.pid, server.port, itertools.cycle(hot)),
                ("rendered", server.pid, server.port, itertools.islice(rest, len(wide) // options.rounds)),
            ):
                found.setdefault(name, []).append(measure(pid, at, requests, options))
    finally:
        bare.terminate()
        bare.wait(10)
    print(f"tiles of {size} bytes\n\n| way | requests/s | µs each | of bare |\n|---|---:|---:|---:|")
    for name, results in found.items():
        rate, each = (statistics.median(column) for column in zip(*results, strict=True))
        shares = [mine / other for (mine, _), (other, _) in zip(results, found["bare"], strict=True)]
        print(f"| {name} | {rate:.0f} | {each:.0f} | {statistics.median(shares):.0%} |")


def main() -> None:
    """Make a pyramid, start a server, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="of the pyramid, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bare", type=int, nargs=2, metavar=("PORT", "BYTES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(*options.bare)
        return
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        (scratch / "images").mkdir()
        size = round(write_pyramid(scratch / "images" / "a.tif", options.side))
        (scratch / "config.yaml").write_text(CONFIG.format(scratch=scratch))
        server = ServerProcess(serve_command("--config", str(scratch / "config.yaml")), scratch / "server")
        try:
            server.wait_until_ready()
            compare(server, options, size)
        finally:
            server.end()


if __name__ == "__main__":
    main()

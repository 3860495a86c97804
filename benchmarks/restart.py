"""How long the server takes from its start to its first answer, with an empty cache and with a full one.

    python -m benchmarks.restart [--entries 200000] [--rounds 5]

Both are measured in turns, so that what else the machine does hurts both alike. The full cache holds that
many derivatives of 2 kB; the first answer is a rendered tile, which needs the workers and is written to the
cache.
"""

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from tests.support.server import ServerProcess, serve_command

from iiif_server.caches.directory import CacheDirectory
from iiif_server.caches.entry import header
from iiif_server.caches.keys import KEY_DIGITS

CONFIG = """\
cache_path: {cache}
default_profile: files
profiles:
  files:
    type: disk
    path: {images}
    rights: http://example.org/rights
"""


def fill(directory: Path, entries: int) -> None:
    """Put that many derivatives into a cache."""
    cache = CacheDirectory(directory)
    cache.claim()
    body = bytes(2000)
    for number in range(entries):
        key = hashlib.blake2b(str(number).encode(), digest_size=KEY_DIGITS // 2).hexdigest()
        cache.write(key, header(key, body), body)


async def first_answer(config: Path, scratch: Path, tile: int) -> float:
    """Seconds from the start of a server to its first tile."""
    started = time.perf_counter()
    server = ServerProcess(serve_command("--config", str(config)), scratch)
    try:
        while "is ready" not in server.output():
            if server.process.poll() is not None:
                raise SystemExit(server.output())
            await asyncio.sleep(0.005)
        server.wait_until_ready()
        with urllib.request.urlopen(f"{server.url}/one.jpg/{tile},0,200,200/max/0/default.jpg") as response:
            response.read()
        return time.perf_counter() - started
    finally:
        server.end()


async def main(entries: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        (scratch / "images").mkdir()
        Image.effect_noise((1000, 800), 60).save(scratch / "images" / "one.jpg")
        configs = {}
        for name in ("empty", "full"):
            configs[name] = scratch / f"{name}.yaml"
            configs[name].write_text(CONFIG.format(cache=scratch / name, images=scratch / "images"))
        started = time.perf_counter()
        fill(scratch / "full" / "derivatives", entries)
        print(f"{entries} entries written in {time.perf_counter() - started:.0f} s")
        seconds: dict[str, list[float]] = {name: [] for name in configs}
        for number in range(rounds):
            for name, config in configs.items():
                seconds[name].append(await first_answer(config, scratch / f"{name}-{number}", number))
        medians = {name: statistics.median(found) for name, found in seconds.items()}
        for name, found in seconds.items():
            bounds = f"{min(found):.2f} to {max(found):.2f}"
            print(f"{name:6} first answer after {medians[name]:.2f} s ({bounds})")
        print(f"full / empty: {medians['full'] / medians['empty']:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.entries, arguments.rounds))

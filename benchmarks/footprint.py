"""What an idle server takes of memory, how long it takes to start, and to answer without workers.

    python -m benchmarks.footprint [--rounds 3] [--all]

Of one server process with two workers, and of two with one each. Memory is the proportional set size: what
processes share counts once, divided among them. Each round starts a server, asks for a tile of each of three
images so that every part has been used, waits for rest, reads the memory of each process, and then kills all
workers at once and asks for a tile that has to be made: the time is that from the kill to the answer.
``--all`` says what each process has, for the last round.
"""

import argparse
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from PIL import Image
from tests.support.server import ServerProcess, serve_command

MIB = 1024**2
NAMES = ("one.jpg", "two.png", "three.tif")
CONFIG = """\
cache_path: {cache}
default_profile: files
image_pool_size: 2
profiles:
  files:
    type: disk
    path: {images}
    rights: http://example.org/rights
"""


def get(server: ServerProcess, path: str) -> None:
    """Ask over a connection of its own, so that each of several processes gets its turn."""
    assert server.port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"{path}: {response.status}")


def tile(number: int) -> str:
    """A tile that no other number names."""
    return f"/{NAMES[number % len(NAMES)]}/{number},0,200,200/190,/0/default.jpg"


def numbers() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def processor_seconds(server: ServerProcess) -> float:
    total = 0.0
    for process in server.tree():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def rest(server: ServerProcess) -> None:
    """Until the server takes nearly nothing of the processor."""
    before = processor_seconds(server)
    for _ in range(20):
        time.sleep(0.5)
        after = processor_seconds(server)
        if after - before < 0.05:
            return
        before = after


def measured(config: Path, scratch: Path, processes: int, *, everything: bool) -> dict[str, float]:
    """One server from its start to its end."""
    count = numbers()
    started = time.perf_counter()
    server = ServerProcess(serve_command("--config", str(config), "--processes", str(processes)), scratch)
    try:
        while "is ready" not in server.output():
            if server.process.poll() is not None:
                raise SystemExit(server.output())
            time.sleep(0.002)
        figures = {"start, s": time.perf_counter() - started}
        figures["start, s of processor"] = processor_seconds(server)
        server.wait_until_ready()
        for _ in range(24):
            get(server, tile(next(count)))
        rest(server)
        memory = {process: process.memory_full_info() for process in server.tree()}
        figures["idle, MiB"] = sum(info.pss for info in memory.values()) / MIB
        if everything:
            for process, info in memory.items():
                print(
                    f"    {process.name():16} {process.pid:7}"
                    f" PSS {info.pss / MIB:6.1f}  own {info.uss / MIB:6.1f}"
                )
        workers = server.workers()
        assert len(workers) == 2
        killed = time.perf_counter()
        for worker in workers:
            worker.kill()
        get(server, "/fresh.png/1,1,200,200/190,/0/default.png")
        figures["killed to answer, ms"] = 1000 * (time.perf_counter() - killed)
        rest(server)
        return figures
    finally:
        server.end()


def main(rounds: int, *, everything: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        (scratch / "images").mkdir()
        picture = Image.effect_noise((1000, 800), 60)
        picture.save(scratch / "images" / "one.jpg")
        picture.save(scratch / "images" / "two.png")
        picture.save(scratch / "images" / "three.tif", compression="jpeg")
        picture.save(scratch / "images" / "fresh.png")
        config = scratch / "config.yaml"
        config.write_text(CONFIG.format(cache=scratch / "cache", images=scratch / "images"))
        for processes in (1, 2):
            found = [
                measured(
                    config,
                    scratch / f"{processes}-{number}",
                    processes,
                    everything=everything and number == rounds - 1,
                )
                for number in range(rounds)
            ]
            print(f"{processes} server process(es), two workers in all")
            for name in found[0]:
                values = [figures[name] for figures in found]
                print(
                    f"  {name:34} {statistics.median(values):8.2f} ({min(values):.2f} to {max(values):.2f})"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    main(arguments.rounds, everything=arguments.all)

"""Hot tiles a second with several server processes, against one, in the same run.

    python -m benchmarks.processes [--processes 2] [--clients 16] [--seconds 5] [--rounds 3] [--load wrk]

The servers take turns. All tiles are in the servers' memory: what is measured is the web process, not the
workers.
Load generator and server share the machine: on two cores, a second process can take only what the generator
leaves it, so that the ratio says what is won here and not what would be won on a machine of its own. The
generator is a process of this script with plain sockets, or the program ``wrk`` if that is installed, which
takes far less of the machine.
"""

import argparse
import contextlib
import multiprocessing
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from PIL import Image
from tests.support.server import ServerProcess, serve_command

TILES = 12
SCRIPT = """\
local paths = {{ {paths} }}
local number = 0
request = function() number = number % #paths + 1 return wrk.format("GET", paths[number]) end
"""


def paths() -> list[str]:
    return [f"/files:one.jpg/{64 * number},0,256,256/max/0/default.jpg" for number in range(TILES)]


def answered(port: int, clients: int, seconds: float) -> int:
    """Ask over so many kept connections, one request at a time on each; returns the answers that came."""
    requests = [f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode() for path in paths()]
    selector, count = DefaultSelector(), 0
    with contextlib.ExitStack() as stack:
        stack.callback(selector.close)
        for number in range(clients):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            # How much of the present answer is missing; None until its head is known.
            selector.register(sock, EVENT_READ, [number, None])
            sock.sendall(requests[number % TILES])
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for key, _ in selector.select(0.1):
                sock, state = key.fileobj, key.data
                assert isinstance(sock, socket.socket)
                data = sock.recv(1 << 18)
                if not data:
                    raise SystemExit("the server closed a connection")
                if state[1] is None:
                    if not data.startswith(b"HTTP/1.1 200"):
                        raise SystemExit(f"the server answered {data[:40]!r}")
                    head, _, body = data.partition(b"\r\n\r\n")
                    found = re.search(rb"(?i)content-length: (\d+)", head)
                    assert found
                    state[1] = int(found[1]) - len(body)
                else:
                    state[1] -= len(data)
                if state[1] == 0:
                    count += 1
                    state[:] = [state[0] + 1, None]
                    sock.sendall(requests[state[0] % TILES])
    return count


def own_load(port: int, clients: int, seconds: float) -> float:
    """Answers a second, asked for by as many processes as leave one core to the server."""
    generators = max(1, multiprocessing.cpu_count() // 2)
    with multiprocessing.Pool(generators) as pool:
        counts = pool.starmap(answered, [(port, max(1, clients // generators), seconds)] * generators)
    return sum(counts) / seconds


def wrk_load(port: int, clients: int, seconds: float) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(paths=", ".join(f'"{path}"' for path in paths())))
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{seconds:g}s",
            "-s",
            script.name,
            f"http://127.0.0.1:{port}",
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found
    return float(found[1])


def warm(server: ServerProcess) -> None:
    """Ask often enough that every process has every tile in memory."""
    for _ in range(20):
        for path in paths():
            with urllib.request.urlopen(server.url + path) as response:
                response.read()


def main(arguments: argparse.Namespace) -> None:
    load = {"own": own_load, "wrk": wrk_load}[arguments.load]
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        images = Path(place) / "images"
        images.mkdir()
        Image.effect_noise((1100, 800), 40).save(images / "one.jpg")
        servers = {}
        for count in (1, arguments.processes):
            command = serve_command(str(images), "--processes", str(count))
            servers[count] = ServerProcess(command, Path(place) / f"server-{count}")
            stack.callback(servers[count].end)
            servers[count].wait_until_ready()
            warm(servers[count])
        rates: dict[int, list[float]] = {count: [] for count in servers}
        for _ in range(arguments.rounds):
            for count, server in servers.items():
                assert server.port is not None
                rates[count].append(load(server.port, arguments.clients, arguments.seconds))
        for count, found in rates.items():
            print(
                f"{count} process(es): {statistics.median(found):.0f} tiles/s",
                [round(rate) for rate in found],
            )
        ratios = [many / one for one, many in zip(rates[1], rates[arguments.processes], strict=True)]
        median = statistics.median(ratios)
        print(f"{arguments.processes} against 1: {median:.2f}", [round(ratio, 2) for ratio in ratios])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", choices=["own", "wrk"], default="wrk" if shutil.which("wrk") else "own")
    main(parser.parse_args())

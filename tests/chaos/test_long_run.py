"""Twenty thousand requests leave the server as it was."""

import socket
import threading
from collections import Counter

import psutil
import pytest

from tests.chaos.site import Site
from tests.support.server import ServerFactory, ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

CLIENTS = 4
WARM_UP, REST = 1000, 4000
AT_ONCE = 20
MORE_MEMORY = 64 * 1024**2
MORE_DESCRIPTORS = 30


def used(server: ServerProcess) -> tuple[int, int]:
    """Bytes that the processes have to themselves, and descriptors that are open."""
    tree = [psutil.Process(process.pid) for process in server.tree()]
    return sum(process.memory_full_info().uss for process in tree), sum(process.num_fds() for process in tree)


def target(number: int) -> str:
    """Mostly what is cached, now and then what is new, wrong or not there."""
    name = ("one.jpg", "two.png", "three.tif")[number % 3]
    match number % 20:
        case 0:
            return f"/{name}/{number % 400},{number % 300},100,100/50,/0/default.jpg"
        case 1:
            return f"/nothing-{number}.jpg/info.json"
        case 2:
            return f"/{name}/full/{number},/0/default.jpg" if number > 2000 else "/a/b/c"
        case 3 | 4:
            return f"/{name}/info.json"
        case 5:
            return "/metrics" if number % 200 == 5 else f"/{name}/thumbnail"
        case _:
            return f"/{name}/{number % 4 * 100},0,100,100/100,/0/default.jpg"


def answers(server: ServerProcess, targets: list[str]) -> Counter[int]:
    """Ask over one connection, twenty at a time, for the statuses."""
    statuses: Counter[int] = Counter()
    connection = socket.create_connection(("127.0.0.1", server.port or 0), timeout=60)
    with connection, connection.makefile("rb") as stream:
        for start in range(0, len(targets), AT_ONCE):
            batch = targets[start : start + AT_ONCE]
            connection.sendall(b"".join(f"GET {one} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for one in batch))
            for _ in batch:
                head = b"".join(iter(stream.readline, b"\r\n"))
                stream.read(int(head.partition(b"Content-Length: ")[2].split(None, 1)[0]))
                statuses[int(head.split(None, 2)[1])] += 1
    return statuses


def test_twenty_thousand_requests(server: ServerFactory, site: Site) -> None:
    """No 5xx; memory grows by 64 MiB at most and open files by 30, and the same workers serve."""
    site.configure(memory_cache_size="4 MiB", log_level="ERROR")
    serving = site.start(server)
    found: list[Counter[int]] = []

    def ask(first: int, count: int) -> None:
        found.append(answers(serving, [target(first + each * CLIENTS) for each in range(count)]))

    def run(start: int, count: int) -> None:
        threads = [threading.Thread(target=ask, args=(start + each, count)) for each in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(0, WARM_UP)
    workers, (memory, descriptors) = set(serving.workers()), used(serving)
    run(WARM_UP * CLIENTS, REST)
    now = used(serving)

    statuses = sum(found, Counter())
    assert statuses.total() == CLIENTS * (WARM_UP + REST) == 20_000
    assert set(statuses) <= {200, 400, 404}
    assert now[0] <= memory + MORE_MEMORY
    assert now[1] <= descriptors + MORE_DESCRIPTORS
    assert set(serving.workers()) == workers
    assert serving.output().count("\n") <= 1

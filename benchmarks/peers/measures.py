"""How each thing is measured, of a server that was started afresh for it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.peers import session
from benchmarks.peers.hammer import hammered
from benchmarks.peers.load import Answer, Client
from benchmarks.peers.requests import Request, mixed, offered_tiles, whole_tiles
from benchmarks.peers.running import Running
from benchmarks.peers.servers import Server
from benchmarks.peers.sources import SOURCES, Source


@dataclass(frozen=True)
class Target:
    """A server that answers.

    Attributes:
        cap: seconds after which no further request of a list is begun.
        seconds: to hammer for.
    """

    running: Running
    server: Server
    source: Source
    cap: float
    seconds: float

    def client(self, clients: int, source: Source | None = None) -> Client:
        """So many connections for requests about an image."""
        return Client(self.running.port, self.server.base(source or self.source), clients)

    def ask(self, requests: list[Request], clients: int = 8, keep_every: int = 17) -> list[Answer]:
        """Each once, until the cap."""
        with self.client(clients) as client:
            return client.ask(requests, self.cap, keep_every)

    def ask_at(self, base: str, request: Request) -> list[Answer]:
        """One request at another base, its body being kept."""
        with Client(self.running.port, base, 1) as client:
            return client.ask([request], keep_every=1)


@dataclass
class Measured:
    """What came of one measurement.

    Attributes:
        figures: by their names, which end in their unit.
        body: mean bytes of the answers; 0 if that does not matter.
        problems: wrong answers; every server's bodies are looked at, those of floors are not images.
        estimated: whether the server was cut off, and its time reckoned from what it had done by then.
    """

    figures: dict[str, float]
    body: int = 0
    problems: list[str] = field(default_factory=list)
    estimated: bool = False


def judged(answers: list[Answer], listed: int) -> tuple[float, Measured]:
    """The seconds that the whole list takes, and what is known besides; without figures."""
    good = [answer for answer in answers if answer.status == 200]
    problems = [problem for answer in answers if (problem := answer.problem())]
    if not good:
        raise RuntimeError(f"no answer: {problems[:2]}")
    took = max(answer.ended for answer in answers)
    body = round(statistics.mean(answer.size for answer in good))
    return took * listed / len(good), Measured({}, body, problems, estimated=len(answers) < listed)


def cold_tiles(requests: Callable[[Source], list[Request]]) -> Callable[[Target], Measured]:
    """Each tile once."""

    def measure(target: Target) -> Measured:
        wanted = requests(target.source)
        took, measured = judged(target.ask(wanted), len(wanted))
        measured.figures["tiles/s"] = len(wanted) / took
        return measured

    return measure


def viewing(target: Target) -> Measured:
    """Every tile of an image that was never seen, then all again."""
    wanted = offered_tiles(target.source)
    answers = target.ask(wanted)
    took, measured = judged(answers, len(wanted))
    first = min(answer.ended for answer in answers if answer.status == 200)
    measured.figures |= {"all, s": took, "first tile, ms": first * 1000}
    if not measured.estimated:
        again, seen_again = judged(target.ask(wanted), len(wanted))
        measured.problems += seen_again.problems
        if not seen_again.estimated:
            measured.figures["again, tiles/s"] = len(wanted) / again
    return measured


def hot(target: Target) -> Measured:
    """Fifty tiles again and again, by 16 clients, once every process has had the time to keep them."""
    wanted = offered_tiles(target.source)[:50]
    _, measured = judged(target.ask(wanted), len(wanted))
    if not measured.estimated:
        for _ in range(4):
            target.ask(wanted, clients=16)
    base = target.server.base(target.source)
    rate, _ = hammered(target.running.port, [base + each.path for each in wanted], 16, target.seconds)
    measured.figures["tiles/s"] = rate
    measured.estimated = False
    return measured


def info(target: Target) -> Measured:
    """info.json again and again, by 16 clients."""
    asked = Request("info.json")
    _, measured = judged(target.ask([asked]), 1)
    path = target.server.base(target.source) + asked.path
    measured.figures["answers/s"], _ = hammered(target.running.port, [path], 16, target.seconds)
    return measured


def single(request: Request) -> Callable[[Target], Measured]:
    """One request on a server that has never seen the image; ``max`` is put as the server wants it."""

    def measure(target: Target) -> Measured:
        path = request.path.replace("/max/", f"/{target.server.maximum}/")
        took, measured = judged(target.ask([replace(request, path=path)], keep_every=1), 1)
        measured.figures["ms"] = took * 1000
        return measured

    return measure


def mixture(target: Target) -> Measured:
    """Regions of all kinds, by 4 clients, once the pyramid is there where tiles make a server build one."""
    target.ask(offered_tiles(target.source)[:8])
    target.running.wait_until_idle()
    wanted = mixed(target.source.width, target.source.height)
    took, measured = judged(target.ask(wanted, clients=4, keep_every=3), len(wanted))
    measured.figures["answers/s"] = len(wanted) / took
    return measured


def replay(tile: int) -> Callable[[Target], Measured]:
    """A recorded session of a viewer."""

    def measure(target: Target) -> Measured:
        steps = session.read_session(tile)
        base = target.server.base(target.source)
        figures, answers = session.play(target.running.port, base, steps, target.cap)
        listed = sum(len(step.requests) for step in steps)
        _, measured = judged(answers, listed)
        figures["end, ms"] *= listed / (len(answers) - len(measured.problems))
        measured.figures = figures
        return measured

    return measure


def idle_memory(target: Target) -> Measured:
    """After the first answers."""
    target.running.wait_until_idle(10)
    return Measured({"MiB": target.running.memory()})


def memory_of(requests: Callable[[Source], list[Request]]) -> Callable[[Target], Measured]:
    """How much more there is at the highest, until all that the requests set going has ended."""

    def measure(target: Target) -> Measured:
        target.running.wait_until_idle(10)
        wanted = requests(target.source)
        with target.running.watched_memory() as samples:
            _, measured = judged(target.ask(wanted), len(wanted))
            target.running.wait_until_idle()
        measured.figures["more, MiB"] = max(samples) - samples[0]
        return measured

    return measure


def growth(target: Target) -> Measured:
    """The time for a tile of a large image, divided by that of a small one; blocks of both take turns."""
    figures: dict[str, float] = {}
    for name, tile, block in (("stored", 256, 192), ("made", 512, 48)):
        lists = {
            source: whole_tiles(source.width, source.height, tile, 2 * block + 1)
            for source in (target.source, SOURCES["SMALL"])
        }
        took = dict.fromkeys(lists, 0.0)
        for start in (0, block):
            for source, wanted in lists.items():
                with target.client(8, source) as client:
                    client.ask(wanted[-1:])  # opens the source
                    part = client.ask(wanted[start : start + block])
                took[source] += judged(part, block)[0]
        large, small = took.values()
        figures[f"{name}, times"] = large / small
    return Measured(figures)

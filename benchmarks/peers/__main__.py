"""Measure this server beside others: ``python -m benchmarks.peers``.

Each measurement is of a server that was started afresh, with empty caches of its own, and has answered for
another small image of the same kind. In each run the servers take turns, so that what else the machine does
hurts all alike; ratios are medians of the ratios within each run. A server that is too slow to end a list is
cut off after ``--cap`` seconds, and its time for all of it is reckoned (~). Servers that are not there are
left out, with a word. See docs/explanation/speed.md.
"""

import argparse
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.peers import floors, table
from benchmarks.peers.machine import calibration, machine, told_calibrations
from benchmarks.peers.measures import Measured, Target
from benchmarks.peers.options import Places, add_places, prepared
from benchmarks.peers.running import DidNotStartError, Running
from benchmarks.peers.servers import PEERS, Server, ours
from benchmarks.peers.sources import SOURCES, Source
from benchmarks.peers.table import Measurement
from benchmarks.peers.workloads import WORKLOADS, Workload
from tqdm import tqdm

PEER_NAMES = [server.name for server in PEERS]
FALLBACK_BODY = 20_000
"""Bytes of the answers of floors where none of ours was measured."""

PATIENCE = 120.0
"""Seconds after which our own server is cut off: its first answers are not like its later ones."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = ", ".join(workload.name for workload in WORKLOADS)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"workloads, or what their names begin with: {names}"
    )
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", default=PEER_NAMES, help=f"of {', '.join(PEER_NAMES)}"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cap", type=float, default=5, help="seconds after which a server is cut off")
    parser.add_argument("--seconds", type=float, default=4, help="of what is asked for again and again")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY: VALUE", help="lines for our configuration"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="add the figures to this file, as JSON lines"
    )
    parser.add_argument(
        "--show", type=Path, nargs="+", metavar="FILE", help="measure nothing, show such files' figures"
    )
    add_places(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, and print tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers end with this process
    options = arguments()
    if options.show:
        print(report(table.load(options.show), []))
        return
    chosen = [each for each in WORKLOADS if _wanted(each.name, options.only)]
    if unknown := [name for name in options.peers if name not in PEER_NAMES]:
        raise SystemExit(f"There is no peer {unknown[0]!r}. There are: {', '.join(PEER_NAMES)}.")
    if not chosen:
        raise SystemExit("There is no such workload.")
    places = prepared(options)
    own = [ours(count, tuple(options.set)) for count in (1, 2)]
    servers = {server.name: server for server in (*own, *PEERS, *floors.FLOORS)}
    for server in list(servers.values()):
        if server.name in PEER_NAMES and server.name not in options.peers:
            del servers[server.name]
        elif why := server.prepare(places.installed):
            print(f"{server.name} is left out: {why}", file=sys.stderr)
            del servers[server.name]
    print(report(measure_all(chosen, servers, places, options), list(servers.values()), places))


def _wanted(name: str, only: list[str] | None) -> bool:
    return only is None or any(name.startswith(each) for each in only)


def measure_all(
    workloads: list[Workload], servers: dict[str, Server], places: Places, options: argparse.Namespace
) -> list[Measurement]:
    """Everything, with a progress bar."""
    for workload in workloads:
        if not workload.possible:
            print(f"{workload.name} is left out: this version has no {workload.needs!r}", file=sys.stderr)
    turns = [
        (workload, run)
        for workload in workloads
        if workload.possible
        for run in range(1 if workload.once else options.runs)
    ]
    found: list[Measurement] = []
    total = sum(len(_contestants(workload, servers)) for workload, _ in turns)
    with tqdm(total=total, unit="measurement", disable=None) as bar:
        for workload, run in turns:
            body = FALLBACK_BODY
            for name in _contestants(workload, servers):
                bar.set_postfix_str(f"{workload.name}, {name}")
                calm = calibration()
                measured = measure(workload, servers[name], places, options, body)
                if name.startswith("ours") and measured.body:
                    body = measured.body
                found.append(Measurement.of(workload.name, name, run, measured, calm))
                if options.record:
                    table.append(options.record, found[-1])
                bar.update()
            for each in by_libraries(workload, run, places):
                found.append(each)
                if options.record:
                    table.append(options.record, each)
    return found


def _contestants(workload: Workload, servers: dict[str, Server]) -> list[str]:
    """Ours first, so that floors know how large the answers are."""
    peers = [
        name
        for name in PEER_NAMES
        if workload.peers and name in servers and workload.source in servers[name].reads
    ]
    return [*workload.ours, *peers, *(name for name in workload.floors if name in servers)]


def measure(
    workload: Workload, server: Server, places: Places, options: argparse.Namespace, body: int
) -> Measured:
    """One measurement; without figures if it failed."""
    source = SOURCES[workload.source]
    cap = options.cap if server.name in PEER_NAMES else PATIENCE
    with Running(places.images, places.installed, body) as running:
        try:
            server.start(running)
            warm(running, server, source)
            measured = workload.measure(Target(running, server, source, cap, options.seconds))
        except (DidNotStartError, RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            tqdm.write(f"{workload.name}, {server.name}: {error}", file=sys.stderr)
            return Measured({}, problems=[str(error)])
    if server in floors.FLOORS:  # their bodies are no images
        measured.problems.clear()
    return measured


def warm(running: Running, server: Server, source: Source) -> None:
    """Wait for it, and let every process of it load its codecs, by another small image of the same kind."""
    small = Source("WARM", source.warming, 1000, 800, source.warming, "")
    base = server.base(small)
    running.wait_for(f"{base}info.json")

    def ask(number: int) -> int:
        return running.get(f"{base}{number * 8},{number * 4},512,512/256,256/0/default.jpg")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(24)))


def by_libraries(workload: Workload, run: int, places: Places) -> list[Measurement]:
    """The same work in this process, where libraries do it."""
    if not workload.libraries:
        return []
    source, found = SOURCES[workload.source], []
    for name, make in floors.libraries(source.file).items():
        make(places.images / source.warming, workload.libraries)
        took = floors.timed(make, places.images / source.file, workload.libraries)
        found.append(Measurement(workload.name, name, run, {"ms": took}, []))
    return found


def report(measurements: list[Measurement], servers: list[Server], places: Places | None = None) -> str:
    """All tables."""
    figures = table.Figures(measurements)
    texts = {workload.name: workload.text for workload in WORKLOADS}
    parts = [f"{machine()}."]
    if calm := [each.calibration for each in measurements if each.calibration]:
        parts.append(told_calibrations(calm))
    parts += [table.bars_table(figures, PEER_NAMES, texts)]
    if any(each.workload.startswith("quality-") for each in measurements):
        parts.append(table.quality_table(measurements, PEER_NAMES))
    parts += [table.all_table(figures), table.problems(measurements)]
    if places:
        parts.append("| server | version | settings |\n|---|---|---|")
        parts[-1] += "".join(
            f"\n| {each.name} | {each.told_version(places.installed)} | {each.settings} |" for each in servers
        )
        versions = ", ".join(f"{name} {told}" for name, told in floors.library_versions().items())
        parts.append(f"In process: {versions}.")
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    main()

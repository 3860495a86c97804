"""The figures as Markdown."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from benchmarks.peers import quality
from benchmarks.peers.bars import BARS, LIBRARIES, PEERS, Bar, larger_is_better
from benchmarks.peers.measures import Measured

OWN_NAMES = ("ours-1", "ours-2")
LIBRARY_NAMES = ("Pillow", "libvips")


@dataclass(frozen=True)
class Measurement:
    """One run of one workload with one server.

    Attributes:
        server: its name, or a library's.
        run: counted from 0; runs of the same number took turns.
        figures: by their names.
        problems: what was wrong, in words; some of it.
        estimated: whether it was cut off.
        calibration: what `machine.calibration` told before it; 0 if it was not asked.
    """

    workload: str
    server: str
    run: int
    figures: dict[str, float]
    problems: list[str]
    estimated: bool = False
    calibration: float = 0.0

    @classmethod
    def of(cls, workload: str, server: str, run: int, measured: Measured, calibration: float) -> Self:
        """From what a measurement gave."""
        figures, problems = measured.figures, measured.problems[:5]
        return cls(workload, server, run, figures, problems, measured.estimated, calibration)


def append(file: Path, measurement: Measurement) -> None:
    """Add a line to a file of JSON lines."""
    with file.open("a") as opened:
        opened.write(json.dumps(asdict(measurement)) + "\n")


def load(files: Iterable[Path]) -> list[Measurement]:
    """The lines of such files; runs of a later file have numbers of their own."""
    found: list[Measurement] = []
    for file in files:
        begin = 1 + max((each.run for each in found), default=-1)
        for line in file.read_text().splitlines():
            values = json.loads(line)
            found.append(Measurement(**{**values, "run": values["run"] + begin}))
    return found


class Figures:
    """All values of each figure, by workload and server."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self._values: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
        self._marks: dict[tuple[str, str], str] = {}
        self._tried = {(each.workload, each.server) for each in measurements}
        for each in measurements:
            for figure, value in each.figures.items():
                self._values[each.workload, each.server, figure][each.run] = value
            mark = "~" * each.estimated + "!" * bool(each.problems)
            key = (each.workload, each.server)
            self._marks[key] = "".join(sorted({*self._marks.get(key, ""), *mark}))

    def servers(self, workload: str, figure: str) -> list[str]:
        """Those that have such a figure."""
        return [s for w, s, f in self._values if (w, f) == (workload, figure)]

    def tried(self, workload: str, servers: Iterable[str]) -> bool:
        """Whether one of them was measured, or failed."""
        return any((workload, server) in self._tried for server in servers)

    def right(self, workload: str, server: str) -> bool:
        """Whether no answer was wrong."""
        return "!" not in self._marks[workload, server]

    def names(self) -> list[tuple[str, str]]:
        """Workloads and their figures, in the order in which they were measured."""
        return list(dict.fromkeys((workload, figure) for workload, _, figure in self._values))

    def median(self, workload: str, server: str, figure: str) -> float:
        """Of all runs."""
        return statistics.median(self._values[workload, server, figure].values())

    def told(self, workload: str, server: str, figure: str) -> str:
        """The median, marked."""
        return self._marks[workload, server] + number(self.median(workload, server, figure))

    def spread(self, workload: str, server: str, figure: str) -> str:
        """The median with the least and the most, marked."""
        values = self._values[workload, server, figure].values()
        told = self.told(workload, server, figure)
        return told if len(values) == 1 else f"{told} ({number(min(values))} to {number(max(values))})"

    def best(self, workload: str, figure: str, among: Iterable[str], *, worst: bool = False) -> str | None:
        """Whoever has the best (or worst) median; of those without wrong answers, if there is one."""
        there = [server for server in self.servers(workload, figure) if server in set(among)]
        there = [server for server in there if self.right(workload, server)] or there
        key = {server: self.median(workload, server, figure) for server in there}
        pick = max if larger_is_better(figure) != worst else min
        return pick(there, key=key.__getitem__) if there else None

    def ratio(self, bar: Bar, mine: str, other: str) -> float:
        """The median of the ratios within each run that both had part in, or else that of the medians."""
        own = self._values[bar.workload, mine, bar.figure]
        others = self._values[bar.workload, other, bar.figure]
        both = own.keys() & others.keys()
        if not both:
            return bar.ratio(statistics.median(own.values()), statistics.median(others.values()))
        return statistics.median(bar.ratio(own[run], others[run]) for run in both)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bars_table(figures: Figures, peers: Sequence[str], texts: dict[str, str]) -> str:
    """One row for each bar whose figures there are.

    Args:
        figures: that were measured.
        peers: names of the servers that are peers.
        texts: of the workloads, by name.
    """
    lines = ["| workload | figure | ours | other | ratio | bar | met |", "|---|---|---:|---:|---:|---|---|"]
    for bar in BARS:
        own = [bar.ours] if bar.ours else OWN_NAMES
        mine = figures.best(bar.workload, bar.figure, own, worst=not bar.rival)  # limits hold for all
        among = {PEERS: peers, LIBRARIES: LIBRARY_NAMES}.get(bar.rival, [bar.rival])
        other = figures.best(bar.workload, bar.figure, among)
        if figures.tried(bar.workload, own) and (not mine or not bar.rival or other):
            cells = [texts[bar.workload], bar.figure, *_compared(figures, bar, mine, other)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _compared(figures: Figures, bar: Bar, mine: str | None, other: str | None) -> list[str]:
    """Cells: our figure, the other's, their ratio, the bar, whether it is met."""
    told = f"{figures.told(bar.workload, other, bar.figure)} {other}" if other else ""
    if mine is None:
        return ["failed", told, "", bar.text, "**no**"]
    own = f"{figures.told(bar.workload, mine, bar.figure)} {mine}"
    ratio = figures.ratio(bar, mine, other) if other else figures.median(bar.workload, mine, bar.figure)
    met = bar.met(ratio) and figures.right(bar.workload, mine)
    return [own, told, f"{ratio:.2f}" if other else "", bar.text, "yes" if met else "**no**"]


def all_table(figures: Figures) -> str:
    """Every figure of every server, but for those of quality."""
    lines = ["| workload | figure | server | median (least to most) |", "|---|---|---|---:|"]
    for workload, figure in figures.names():
        if not workload.startswith("quality-"):
            lines += [
                f"| {workload} | {figure} | {server} | {figures.spread(workload, server, figure)} |"
                for server in figures.servers(workload, figure)
            ]
    return "\n".join(lines)


def quality_table(measurements: Sequence[Measurement], peers: Sequence[str]) -> str:
    """Of the first run of each."""
    found = {(each.workload, each.server): each.figures for each in reversed(measurements)}
    return quality.table(
        (workload.removeprefix("quality-"), server, found[workload, "ours-1"], theirs)
        for (workload, server), theirs in reversed(found.items())
        if workload.startswith("quality-") and server in peers and (workload, "ours-1") in found
    )


def problems(measurements: Sequence[Measurement]) -> str:
    """What was wrong, once for each workload and server."""
    lines = {}
    for each in measurements:
        if each.problems:
            what = "wrong answers (!), such as" if each.figures else "failed:"
            line = f"- {each.workload}, {each.server}: {what} `{each.problems[0]}`"
            lines[each.workload, each.server] = line
    return "\n".join(lines.values())

"""Memory, descriptors, threads, processes and rates, every few seconds; and whether they grow."""

import asyncio
import contextlib
import dataclasses
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import IO, Any

import psutil
from benchmarks.soak.clients import Tally
from benchmarks.soak.windows import Window, Windows

from iiif_server.testing.processes import ServerProcess

EVERY = 5.0
MIB = 1024**2

LEAST_SECONDS = 600.0
"""In less, caches and decoders still fill: a trend says nothing."""

MOST_MEMORY = 64 * MIB
MOST_DESCRIPTORS = 30
MOST_SHARE = 0.1


@dataclass(frozen=True)
class Sample:
    """The server at one moment: memory in bytes, latencies in seconds, of all its processes together.

    Attributes:
        seconds: since the beginning.
        quiet: whether no fault is under way or has just been.
        first: memory that is the own of the process that has the connections, which no fault replaces. (Its
            part of what it shares depends on the programs that it shares libraries with.)
        statuses: of the answers since the last sample.
    """

    seconds: float
    quiet: bool
    pss: int
    first: int
    rss: int
    descriptors: int
    threads: int
    processes: int
    per_second: float
    p50: float
    p99: float
    statuses: dict[int, int]


def percentile(seconds: list[float], share: float) -> float:
    """So large a share took so long at most; 0 of nothing."""
    found = sorted(seconds)
    return found[min(len(found) - 1, int(len(found) * share))] if found else 0.0


def measure(server: ServerProcess) -> dict[str, int]:
    """What the processes use; one that ends meanwhile is left out."""
    total: Counter[str] = Counter(pss=0, first=0, rss=0, descriptors=0, threads=0, processes=0)
    for process in server.tree():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = process.memory_full_info()
            used = {"pss": memory.pss, "rss": memory.rss, "descriptors": process.num_fds()}
            used["first"] = memory.uss if process.pid == server.pid else 0
            total.update(used | {"threads": process.num_threads(), "processes": 1})
    return dict(total)


@dataclass
class Sampler:
    """Takes samples, and writes them and the faults to a file of JSON lines, if there is one."""

    server: ServerProcess
    tally: Tally
    windows: Windows
    record: IO[str] | None
    samples: list[Sample] = dataclasses.field(default_factory=list)
    _told: int = 0

    async def run(self) -> None:
        """Take them until cancelled."""
        before, then = self.tally.statuses.copy(), time.monotonic()
        while True:
            await asyncio.sleep(EVERY)
            used = await asyncio.to_thread(measure, self.server)
            now, statuses = time.monotonic(), self.tally.statuses.copy()
            new = statuses - before
            latencies, self.tally.latencies = self.tally.latencies, []
            sample = Sample(
                seconds=round(now - self.tally.began, 1),
                quiet=self.windows.quiet(now),
                per_second=round(new.total() / (now - then), 1),
                p50=round(percentile(latencies, 0.5), 4),
                p99=round(percentile(latencies, 0.99), 4),
                statuses=dict(sorted(new.items())),
                **used,
            )
            before, then = statuses, now
            self.samples.append(sample)
            self._write(dataclasses.asdict(sample))
            self.tell_faults()

    def tell_faults(self, *, last: bool = False) -> None:
        """Write the faults that have ended; at last, all."""
        for window in self.windows.faults[self._told :]:
            if window.end > time.monotonic() and not last:
                return
            self._told += 1
            self._write(as_fault(window, self.tally.began))

    def _write(self, line: dict[str, Any]) -> None:
        if self.record is not None:
            print(json.dumps(line), file=self.record, flush=True)


def as_fault(window: Window, began: float) -> dict[str, Any]:
    """For the record."""
    end = min(window.end, time.monotonic())
    return {
        "fault": window.kind,
        "source": window.source,
        "begin": round(window.begin - began, 1),
        "end": round(end - began, 1),
    }


@dataclass(frozen=True)
class Trend:
    """How something grew over the last two thirds of the samples, by a straight line through the quiet ones.

    Attributes:
        mean: of them.
        growth: of the line from its beginning to its end.
        most: that it may have grown, besides a tenth of the mean.
    """

    mean: float
    growth: float
    most: float

    @property
    def flat(self) -> bool:
        """Whether it grew by less than a tenth, and by less than the most that it may."""
        return self.growth < min(self.most, MOST_SHARE * self.mean)


def trend(samples: list[Sample], name: str, most: float) -> Trend | None:
    """The trend of one of the figures; nothing of fewer than three samples."""
    late = [sample for sample in samples[len(samples) // 3 :] if sample.quiet]
    if len(late) < 3:
        return None
    seconds = [sample.seconds for sample in late]
    values = [float(getattr(sample, name)) for sample in late]
    slope = statistics.linear_regression(seconds, values).slope
    return Trend(statistics.fmean(values), slope * (seconds[-1] - seconds[0]), most)

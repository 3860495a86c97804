"""A run as a picture: ``python -m benchmarks.soak.plot RECORD.jsonl PLOT.svg``."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from benchmarks.soak.samples import MIB, Sample
from benchmarks.soak.windows import RULES
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

LEAST_WIDTH = 2.0
"""Seconds that a fault is drawn with at least, so that it can be seen."""


def plot(samples: list[Sample], faults: list[dict[str, Any]], path: Path) -> None:
    """Draw memory, descriptors, rate and latency over time, with the faults behind them, as SVG."""
    # Text stays text; the same run gives the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "soak", "font.size": 8}):
        figure = Figure(figsize=(9, 8), layout="constrained")
        axes = figure.subplots(4, 1, sharex=True)
        minutes = [sample.seconds / 60 for sample in samples]
        for axis in axes:
            _draw_faults(axis, faults)
        axes[0].plot(
            minutes, [sample.pss / MIB for sample in samples], color="black", linewidth=1, label="all (PSS)"
        )
        axes[0].plot(
            minutes,
            [sample.first / MIB for sample in samples],
            color="gray",
            linewidth=1,
            label="the server's own",
        )
        axes[0].set_ylabel("memory (MiB)")
        axes[0].legend(loc="upper left")
        axes[1].plot(minutes, [sample.descriptors for sample in samples], color="black", linewidth=1)
        axes[1].set_ylabel("descriptors")
        axes[2].plot(minutes, [sample.per_second for sample in samples], color="black", linewidth=1)
        axes[2].set_ylabel("answers per second")
        axes[3].plot(
            minutes, [sample.p50 * 1000 for sample in samples], color="black", linewidth=1, label="p50"
        )
        axes[3].plot(
            minutes, [sample.p99 * 1000 for sample in samples], color="gray", linewidth=1, label="p99"
        )
        axes[3].set(ylabel="milliseconds", xlabel="minutes", yscale="log")
        axes[3].legend(loc="upper left")
        for axis in axes[:3]:
            axis.set_ylim(bottom=0)
        happened = {fault["fault"] for fault in faults}
        legend = [Patch(color=_colour(kind), label=kind) for kind in RULES if kind in happened]
        if legend:
            figure.legend(handles=legend, loc="outside lower center", ncols=6)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _colour(kind: str) -> Any:
    return mpl.colormaps["tab20"](list(RULES).index(kind))


def _draw_faults(axis: Axes, faults: list[dict[str, Any]]) -> None:
    for fault in faults:
        end = max(fault["end"], fault["begin"] + LEAST_WIDTH)
        axis.axvspan(fault["begin"] / 60, end / 60, color=_colour(fault["fault"]), alpha=0.5, linewidth=0)


def main(record: Path, path: Path) -> None:
    """Draw what a run has recorded."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    samples = [Sample(**line) for line in lines if "fault" not in line]
    plot(samples, [line for line in lines if "fault" in line], path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

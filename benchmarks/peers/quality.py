"""How near scaled JPEGs come to the reference, and at how many bytes."""

import functools
import io
import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from benchmarks.peers.measures import Measured, Target
from benchmarks.peers.requests import Request
from benchmarks.peers.servers import QUALITIES
from PIL import Image

Image.MAX_IMAGE_PIXELS = None  # the sources are our own
Box = tuple[int, int, int, int]
Curve = list[tuple[float, float]]
"""Bytes and decibels, by rising bytes."""


def _cases(width: int, height: int) -> dict[str, tuple[str, Box, tuple[int, int]]]:
    """By name: the request, the region (left, top, right, bottom) and the size, in pixels."""
    whole = (1500, round(1500 * height / width))
    return {
        "full/1500,": ("full/1500,", (0, 0, width, height), whole),
        "tile at 1:4": ("1024,512,2048,2048/512,512", (1024, 512, 3072, 2560), (512, 512)),
    }


def measure(target: Target) -> Measured:
    """Ask for each case, of our own server at many qualities; figures are decibels and bytes."""
    own = target.server.name.startswith("ours")
    source, figures = target.source, dict[str, float]()
    problems: list[str] = []
    for case, (path, box, size) in _cases(source.width, source.height).items():
        for quality in QUALITIES if own else (0,):
            request = Request(f"{path}/0/default.jpg", *size)
            base = target.server.base(source)
            if own:
                base = base.replace("/", f"/q{quality}:", 1)
            (answer,) = target.ask_at(base, request)
            if problem := answer.problem():
                problems.append(problem)
                continue
            noise = decibels(answer.body, reference(target.running.images / source.file, box, size))
            figures |= {f"{case}: {quality}, dB": noise, f"{case}: {quality}, bytes": len(answer.body)}
    return Measured(figures, problems=problems)


@functools.lru_cache(maxsize=8)
def reference(path: Path, box: Box, size: tuple[int, int]) -> Image.Image:
    """The region, scaled by Pillow's Lanczos from full size."""
    return _decoded(path).resize(size, Image.Resampling.LANCZOS, box=box)


@functools.lru_cache(maxsize=1)
def _decoded(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def decibels(data: bytes, wanted: Image.Image) -> float:
    """Peak signal-to-noise ratio; sides may differ by a pixel, which is cut off."""
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image.convert("RGB"), np.float64)
    other = np.asarray(wanted, np.float64)
    height, width = min(found.shape[0], other.shape[0]), min(found.shape[1], other.shape[1])
    error = float(np.square(found[:height, :width] - other[:height, :width]).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def curves(figures: Mapping[str, float]) -> dict[str, Curve]:
    """The points of each case."""
    points: dict[str, Curve] = defaultdict(list)
    for name, value in figures.items():
        if name.endswith(", dB"):
            points[name.rpartition(": ")[0]].append((figures[name[:-2] + "bytes"], value))
    return {case: sorted(found) for case, found in points.items()}


def at_bytes(curve: Curve, size: float) -> float | None:
    """Decibels at this many bytes, between the two nearest points; none beyond the ends."""
    for (less, low), (more, high) in itertools.pairwise(curve):
        if less <= size <= more:
            share = math.log(size / less) / math.log(more / less)
            return low + share * (high - low)
    return None


def table(rows: Iterable[tuple[str, str, Mapping[str, float], Mapping[str, float]]]) -> str:
    """Ours beside each peer at the peer's bytes.

    Args:
        rows: source, peer, our figures, the peer's figures.
    """
    lines = [
        "| source | request | peer | bytes | dB | ours at as many bytes, dB | met |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for source, peer, mine, theirs in rows:
        own = curves(mine)
        for case, points in curves(theirs).items():
            size, noise = (statistics.median(column) for column in zip(*points, strict=True))
            ours = at_bytes(own.get(case, []), size)
            told = "" if ours is None else f"{ours:.1f}"
            met = "?" if ours is None else "yes" if round(ours, 1) >= round(noise, 1) else "**no**"
            lines.append(f"| {source} | {case} | {peer} | {size:,.0f} | {noise:.1f} | {told} | {met} |")
    return "\n".join(lines)

"""What it runs on, and how much of it others take."""

import os
import platform
import statistics
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def machine() -> str:
    """Processors and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    processors = f"{os.cpu_count()} processors ({model or platform.machine()})"
    return f"{processors}, {platform.system()}, Python {platform.python_version()}"


def calibration() -> float:
    """Milliseconds for one fixed piece of work: the middle one of five."""
    data = np.random.default_rng(1).integers(0, 64, 200_000, np.uint8).tobytes()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        zlib.compress(data, 6)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def told_calibrations(found: Sequence[float]) -> str:
    """How quiet the machine was."""
    return (
        f"Before each measurement, a fixed piece of work took {statistics.median(found):.1f} ms "
        f"({min(found):.1f} to {max(found):.1f}); where the most is far from the least, others were at work."
    )

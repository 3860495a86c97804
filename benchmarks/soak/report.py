"""What is told at the end."""

from collections import Counter

from benchmarks.soak.clients import Tally
from benchmarks.soak.samples import (
    LEAST_SECONDS,
    MIB,
    MOST_DESCRIPTORS,
    MOST_MEMORY,
    Sampler,
    Trend,
    percentile,
    trend,
)
from benchmarks.soak.windows import Windows


def _of_trend(name: str, found: Trend | None, unit: float, *, counts: bool) -> tuple[str, bool]:
    if found is None:
        return f"{name}: too few samples", not counts
    text = (
        f"{name}: mean {found.mean / unit:.1f}, {found.growth / unit:+.1f} over the last two thirds "
        f"({found.growth / found.mean:+.1%}; flat is less than 10 % and {found.most / unit:.0f})"
    )
    verdict = "flat" if found.flat else "GROWS"
    return f"{text}: {verdict if counts else f'{verdict}, but the run was too short to tell'}", (
        found.flat or not counts
    )


def report(tally: Tally, sampler: Sampler, windows: Windows, log: str) -> bool:
    """Print it; whether all was well."""
    seconds = sampler.samples[-1].seconds if sampler.samples else 0.0
    print(f"\n{tally.statuses.total()} answers in {seconds / 60:.1f} minutes, {tally.bodies} bodies compared")
    print("statuses: " + ", ".join(f"{key or 'broken'} {n}" for key, n in sorted(tally.statuses.items())))
    print("kinds: " + ", ".join(f"{key} {n}" for key, n in tally.kinds.most_common()))
    p50, p99 = (percentile(tally.all_latencies, share) * 1000 for share in (0.5, 0.99))
    print(f"latency: p50 {p50:.1f} ms, p99 {p99:.0f} ms")
    done = Counter(window.kind for window in windows.faults)
    print("faults: " + (", ".join(f"{kind} {count}" for kind, count in sorted(done.items())) or "none"))
    counts = seconds >= LEAST_SECONDS
    memory, memory_is_flat = _of_trend(
        "memory (PSS, MiB)", trend(sampler.samples, "pss", MOST_MEMORY), MIB, counts=counts
    )
    # The workers' memory goes up and down by more than a leak of the one process that is never replaced.
    first, first_is_flat = _of_trend(
        "memory of the process with the connections (its own, MiB)",
        trend(sampler.samples, "first", MOST_MEMORY),
        MIB,
        counts=counts,
    )
    descriptors, descriptors_are_flat = _of_trend(
        "descriptors", trend(sampler.samples, "descriptors", MOST_DESCRIPTORS), 1, counts=counts
    )
    print(memory, first, descriptors, sep="\n")
    traceback = "Traceback" in log
    if traceback:
        print("the server logged a traceback:", log[max(0, log.index("Traceback") - 500) :][:4000], sep="\n")
    for failure in tally.failures:
        print(failure)
    print(f"{tally.failed} failures")
    return not tally.failed and not traceback and memory_is_flat and first_is_flat and descriptors_are_flat

"""A server under mixed load, with a fault each minute; every answer is compared with the right one.

    python -m benchmarks.soak [--minutes 30] [--seed 1] [--record FILE.jsonl] [--plot FILE.svg]

Ends with code 1 if any answer was wrong, or memory or descriptors grew. Ctrl+C ends it early, with a summary.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.soak.clients import Crowd
from benchmarks.soak.faults import Saboteur
from benchmarks.soak.plot import plot
from benchmarks.soak.references import Reference, take
from benchmarks.soak.report import report
from benchmarks.soak.samples import Sampler, as_fault
from benchmarks.soak.site import Budgets, Site, make_sources, start
from benchmarks.soak.targets import Target, make_targets
from benchmarks.soak.windows import Windows
from tqdm import tqdm


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--targets", type=int, default=4000, help="different requests")
    parser.add_argument("--every", type=float, default=60.0, help="seconds from fault to fault")
    parser.add_argument("--record", type=Path, help="write samples and faults here, as JSON lines")
    parser.add_argument("--plot", type=Path, help="draw them here, as SVG")
    parser.add_argument(
        "--wrong", action="store_true", help="spoil one reference: that has to be found, or this test is none"
    )
    return parser.parse_args()


def _spoil_one(references: dict[Target, Reference]) -> None:
    target = next(target for target in references if target.kind == "image")
    body = references[target].body
    references[target].body = body[:-1] + bytes([body[-1] ^ 1])
    print(f"one bit of a reference is spoilt: {target.path}")


async def _show_progress(minutes: float, crowd: Crowd) -> None:
    with tqdm(total=round(minutes * 60), desc="soak", unit="s") as bar:
        while True:
            await asyncio.sleep(1)
            now = round(time.monotonic() - crowd.tally.began)
            latest = crowd.windows.faults[-1:]
            bar.set_postfix(failures=crowd.tally.failed, fault=latest[0].kind if latest else "-")
            bar.update(min(now, bar.total) - bar.n)


async def _soak(options: argparse.Namespace, crowd: Crowd, saboteur: Saboteur, sampler: Sampler) -> None:
    """Run them for their time; being interrupted is another way to end."""
    tasks = [
        asyncio.create_task(work)
        for work in (crowd.run(), saboteur.run(), sampler.run(), _show_progress(options.minutes, crowd))
    ]
    try:
        done, _ = await asyncio.wait(tasks, timeout=options.minutes * 60, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # none of them ends by itself, but by a fault of this program
    except asyncio.CancelledError:
        print("\ninterrupted", file=sys.stderr)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(options: argparse.Namespace, scratch: Path, files: contextlib.ExitStack) -> int:
    pictures = await asyncio.to_thread(make_sources, scratch / "images")
    sizes = {name: picture.size for name, picture in pictures.items()}
    targets = make_targets(sizes, options.targets, options.seed)
    taken = await take(targets, pictures, scratch / "images", scratch / "reference")
    references = {target: taken[target] for target in targets}
    kept = sum(len(each.body) for target, each in references.items() if target.kind == "image")
    kinds = Counter(target.kind for target in references)
    print(f"{len(references)} references: {dict(kinds)}; {kept / 2**20:.0f} MiB of images")
    if options.wrong:
        _spoil_one(references)
    site = await asyncio.to_thread(start, scratch / "server", scratch / "images", Budgets())
    try:
        return await _soak_and_tell(options, site, references, sizes, files)
    finally:
        await asyncio.to_thread(site.server.end)


async def _soak_and_tell(
    options: argparse.Namespace,
    site: Site,
    references: dict[Target, Reference],
    sizes: dict[str, tuple[int, int]],
    files: contextlib.ExitStack,
) -> int:
    windows = Windows()
    crowd = Crowd(site.server.url, references, windows, options.clients, options.rate, options.seed)
    saboteur = Saboteur(site, crowd, sizes, options.every, random.Random(options.seed))
    record = files.enter_context(options.record.open("w")) if options.record else None
    sampler = Sampler(site.server, crowd.tally, windows, record)
    await _soak(options, crowd, saboteur, sampler)
    sampler.tell_faults(last=True)
    if site.server.process.poll() is not None:
        crowd.tally.complain(f"the server ended with code {site.server.process.returncode}")
    if options.plot:
        plot(
            sampler.samples, [as_fault(window, crowd.tally.began) for window in windows.faults], options.plot
        )
    return 0 if report(crowd.tally, sampler, windows, site.server.output()) else 1


def main() -> int:
    """Run by hand."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch, contextlib.ExitStack() as files:
        return asyncio.run(_run(options, Path(scratch), files))


if __name__ == "__main__":
    raise SystemExit(main())

"""Record what the viewer asks for: ``python -m benchmarks.peers.record [--sources DIR] [--cache DIR]``.

OpenSeadragon, as this server's start page shows it, in a real browser: open an image of 12000 x 9000 pixels,
turn the wheel at three places until it is shown at full scale, and drag it about. Written to ``session.json``
are the paths below the image's address in the order in which they were asked for; what was asked for at
nearly the same moment is one burst, with its time in milliseconds since the page was opened. Once with tiles
of 512 px, as they are offered of what is not stored in tiles, and once with 256 px, those of the TIFF.
"""

import argparse
import asyncio
import json
import time
from typing import Any

from benchmarks.peers.options import add_places, prepared
from benchmarks.peers.running import Running
from benchmarks.peers.servers import ours
from benchmarks.peers.session import FILE
from benchmarks.peers.sources import SOURCES
from playwright.async_api import Page, Request
from tests.support.browser import find_chromium, watched_page

WIDTH, HEIGHT = 1280, 800
TOGETHER = 0.03
"""Seconds between two requests of one burst, at most."""

PLACES = ((0.5, 0.5), (0.15, 0.2), (0.85, 0.75))
DRAGS = ((-500, 0), (0, -350), (400, 300))
FULL_SCALE = """() => {
    const item = viewer.world.getItemAt(0);
    return viewer.viewport.getZoom(false) >= item.imageToViewportZoom(1) * 0.999;
}"""
LOADED = """() => {
    if (!window.viewer?.isOpen?.()) return false;
    const settled = Math.abs(viewer.viewport.getZoom(true) / viewer.viewport.getZoom(false) - 1) < 1e-3;
    return settled && viewer.world.getItemAt(0).getFullyLoaded();
}"""
PLACE = """([across, down]) => {
    const item = viewer.world.getItemAt(0), size = item.getContentSize();
    const wanted = new OpenSeadragon.Point(size.x * across, size.y * down);
    const point = item.imageToViewerElementCoordinates(wanted);
    const box = viewer.canvas.getBoundingClientRect();
    return [box.left + point.x, box.top + point.y];
}"""


class Recorder:
    """Notes every request below an image's address."""

    def __init__(self, page: Page, file: str) -> None:
        self._marker = f"{file}/"
        self._begun = self._last = time.perf_counter()
        self.steps: list[dict[str, Any]] = []
        page.on("request", self._requested)

    def step(self, action: str) -> None:
        """What follows was caused by this."""
        self.steps.append({"action": action, "bursts": []})
        self._last = 0.0

    def _requested(self, request: Request) -> None:
        _, marker, path = request.url.partition(self._marker)
        if not marker:
            return
        now, bursts = time.perf_counter(), self.steps[-1]["bursts"]
        if not bursts or now - self._last > TOGETHER:
            bursts.append({"ms": round((now - self._begun) * 1000), "paths": []})
        self._last = now
        bursts[-1]["paths"].append(path)


async def record(address: str, file: str) -> tuple[str, list[dict[str, Any]]]:
    """The viewer's version, and one session with it."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("There is no Chromium here.")
    async with watched_page(chromium, WIDTH, HEIGHT) as watched:
        page, recorder = watched.page, Recorder(watched.page, file)
        recorder.step("open")
        await page.goto(f"{address}/?image=files:{file}")
        await _loaded(page)
        for across, down in PLACES:
            recorder.step(f"turn the wheel at {across:.0%}, {down:.0%} until full scale")
            await _wheel(page, across, down)
            await _loaded(page)
            for x, y in DRAGS:
                recorder.step(f"drag by {x}, {y} pixels")
                await _drag(page, x, y)
                await _loaded(page)
            recorder.step("go home")
            await page.evaluate("() => viewer.viewport.goHome()")
            await _loaded(page)
        if watched.problems:
            raise SystemExit(f"The viewer had problems: {watched.problems}")
        version = await page.evaluate("() => OpenSeadragon.version.versionStr")
    return version, [step for step in recorder.steps if step["bursts"]]


async def _loaded(page: Page) -> None:
    await page.wait_for_timeout(300)
    await page.wait_for_function(LOADED, polling=50, timeout=60_000)


async def _wheel(page: Page, across: float, down: float) -> None:
    await page.mouse.move(*await page.evaluate(PLACE, [across, down]))
    for _ in range(40):
        if await page.evaluate(FULL_SCALE):
            return
        await page.mouse.wheel(0, -300)
        await page.wait_for_timeout(250)


async def _drag(page: Page, x: int, y: int) -> None:
    await page.mouse.move(WIDTH / 2, HEIGHT / 2)
    await page.mouse.down()
    await page.mouse.move(WIDTH / 2 + x, HEIGHT / 2 + y, steps=12)
    await page.mouse.up()


def main() -> None:
    """Record both sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_places(parser)
    places = prepared(parser.parse_args())
    sessions: dict[str, Any] = {}
    for tile, name in ((512, "J2"), (256, "T2")):
        with Running(places.images, places.installed) as running:
            server, source = ours(1), SOURCES[name]
            server.start(running)
            running.wait_for(f"{server.base(source)}info.json")
            address = f"http://127.0.0.1:{running.port}"
            version, sessions[str(tile)] = asyncio.run(record(address, source.file))
    text = {
        "image": [12000, 9000],
        "window": [WIDTH, HEIGHT],
        "viewer": f"OpenSeadragon {version}",
        "sessions": sessions,
    }
    FILE.write_text(json.dumps(text, indent=1) + "\n")
    for name, steps in sessions.items():
        count = sum(len(burst["paths"]) for step in steps for burst in step["bursts"])
        print(f"tiles of {name} px: {len(steps)} steps, {count} requests")


if __name__ == "__main__":
    main()

"""OpenSeadragon in a real browser, on a real server: what people see when they zoom."""

import io
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.async_api import Page

from tests.support.browser import Watched, find_chromium, watched_page
from tests.support.paths import SHARED_IMAGES
from tests.support.pictures import large_picture, save_turned
from tests.support.server import ServerFactory, ServerProcess

CHROMIUM = find_chromium()

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

SHARED = (
    "photo-baseline-12mp.jpg",
    "photo-progressive-12mp.jpg",
    "tiff-painting.tif",
    "exif-landscape-6.jpg",
)
MADE = ("large.png", "turned.jpg")
POINTS = [(0.5, 0.5), (0.02, 0.02), (0.98, 0.98)]
"""Where the zoom goes, as shares of the image's sides; the last one shows the odd tiles at the edges."""

LOADED = "() => window.viewer?.isOpen?.() && viewer.world.getItemAt(0).getFullyLoaded()"
NEXT_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ON_SCREEN = """() => {
    const item = viewer.world.getItemAt(0), size = item.getContentSize();
    const box = viewer.canvas.getBoundingClientRect();
    const from = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const to = item.imageToViewerElementCoordinates(size);
    return {
        left: from.x, top: from.y, right: to.x, bottom: to.y, width: size.x, height: size.y,
        box: {x: box.left, y: box.top, width: box.width, height: box.height},
    };
}"""
ZOOM = """([across, down, factor]) => {
    const item = viewer.world.getItemAt(0), size = item.getContentSize();
    const point = item.imageToViewportCoordinates(size.x * across, size.y * down);
    const full = item.imageToViewportZoom(1), next = Math.min(viewer.viewport.getZoom(true) * factor, full);
    viewer.viewport.panTo(point, true).zoomTo(next, null, true);
    return next >= full;
}"""
PAN = """([x, y]) => {
    const pixels = new OpenSeadragon.Point(x, y);
    viewer.viewport.panBy(viewer.viewport.deltaPointsFromPixels(pixels), true);
}"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("viewer")
    picture = large_picture()
    picture.save(directory / "large.png", compress_level=1)
    save_turned(picture.resize((1802, 1201)), directory / "turned.jpg", orientation=6)
    for name in SHARED:
        if (SHARED_IMAGES / name).exists():
            shutil.copyfile(SHARED_IMAGES / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def serving(module_server: ServerFactory, pictures: Path) -> ServerProcess:
    return module_server.directory(pictures)


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    directory = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.mark.parametrize("name", SHARED + MADE)
async def test_zooms_to_full_scale(
    serving: ServerProcess, pictures: Path, screenshots: Path, name: str
) -> None:
    """The whole picture looks like its source; zooming in and moving about shows tiles, without an error.

    Most are drawn on a canvas, one by WebGL.
    """
    if not (pictures / name).exists():
        pytest.skip("the shared test images (../shared/images beside the repository) are not here")
    assert CHROMIUM
    async with watched_page(CHROMIUM, webgl=name == "turned.jpg") as watched:
        page = watched.page
        await page.goto(f"{serving.url}/?image={quote(f'files:{name}')}")
        await _loaded(page)
        whole = await _screenshot(watched, screenshots / f"{name}-whole.png")
        place = await page.evaluate(ON_SCREEN)

        assert _difference(whole, place, pictures / name) < 12

        for number, (across, down) in enumerate(POINTS):
            await page.evaluate("() => viewer.viewport.goHome(true)")
            while not await page.evaluate(ZOOM, [across, down, 2]):
                await _loaded(page)
            await _loaded(page)
            await _assert_not_blank(watched, screenshots / f"{name}-full-{number}.png")
        for step in ((-600, 0), (0, -450), (-300, -300)):
            await page.evaluate(PAN, step)
            await _loaded(page)
        await _assert_not_blank(watched, screenshots / f"{name}-moved.png")

        assert watched.problems == []
        assert watched.images > 10


async def test_gallery_leads_to_the_viewer(serving: ServerProcess, pictures: Path, screenshots: Path) -> None:
    """The start page shows a thumbnail for each image, and following one opens it in the viewer."""
    assert CHROMIUM
    async with watched_page(CHROMIUM) as watched:
        page = watched.page
        await page.goto(serving.url + "/")
        cards = page.locator("a[href*='image=']")

        assert await cards.count() == len(list(pictures.iterdir()))

        await page.wait_for_function("() => [...document.images].every(image => image.complete)")
        await page.screenshot(path=screenshots / "gallery.png")
        widths = await page.evaluate("() => [...document.images].map(image => image.naturalWidth)")
        await cards.first.click()
        await _loaded(page)

        assert min(widths) > 1
        assert watched.problems == []


async def _loaded(page: Page) -> None:
    """Wait until the viewer has looked at its new place, and has all that it wants there."""
    await page.evaluate(NEXT_FRAMES)
    await page.wait_for_function(LOADED, polling=50, timeout=60_000)


async def _screenshot(watched: Watched, path: Path) -> Image.Image:
    await watched.page.wait_for_timeout(100)  # until what was loaded is drawn
    place = await watched.page.evaluate(ON_SCREEN)
    content = await watched.page.screenshot(path=path, clip=place["box"])
    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB")


async def _assert_not_blank(watched: Watched, path: Path) -> None:
    """The image's part of the screen holds more than one colour, in each quarter of it."""
    picture = await _screenshot(watched, path)
    place = await watched.page.evaluate(ON_SCREEN)
    left, top, right, bottom = _visible(place)
    middle = ((left + right) // 2, (top + bottom) // 2)
    for x, y, to_x, to_y in (
        (left, top, *middle),
        (middle[0], top, right, middle[1]),
        (left, middle[1], middle[0], bottom),
        (*middle, right, bottom),
    ):
        # None for more than that; room for all that there may be takes longer to go through than the picture.
        assert picture.crop((x, y, to_x, to_y)).getcolors(maxcolors=20) is None, (
            f"nothing to see in {path.name}"
        )


def _visible(place: dict[str, Any]) -> tuple[int, int, int, int]:
    """The image's part of the screenshot."""
    box = place["box"]
    return (
        round(max(place["left"], 0)),
        round(max(place["top"], 0)),
        round(min(place["right"], box["width"])),
        round(min(place["bottom"], box["height"])),
    )


def _difference(screenshot: Image.Image, place: dict[str, Any], source: Path) -> float:
    """Mean absolute difference between what is seen and the upright source, both 48 by 48 pixels."""
    with Image.open(source) as opened:
        upright = ImageOps.exif_transpose(opened)

        assert (place["width"], place["height"]) == upright.size

        expected = upright.convert("RGB").resize((48, 48), Image.Resampling.BOX)

    seen = screenshot.crop(_visible(place)).resize((48, 48), Image.Resampling.BOX)
    return float(np.abs(np.asarray(seen, np.int16) - np.asarray(expected, np.int16)).mean())

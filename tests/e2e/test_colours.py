"""A browser shows the same colours whatever format they come in: files without a profile are sRGB to it."""

import json
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.support.browser import find_chromium, watched_page
from tests.support.server import ServerFactory, ServerProcess

CHROMIUM = find_chromium()

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

PATCH = 64
COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (64, 32, 16),
    (200, 120, 90),
    (20, 90, 140),
    (250, 240, 10),
]
SHOWN = """async ([address, size, count]) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const at = patch => Array.from(context.getImageData(patch * size + size / 2, size / 2, 1, 1).data);
    return Array.from({length: count}, (_, patch) => at(patch));
}"""


@pytest.fixture(scope="module")
def serving(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    directory: Path = tmp_path_factory.mktemp("patches")
    picture = Image.new("RGB", (PATCH * len(COLOURS), PATCH))
    for patch, colour in enumerate(COLOURS):
        picture.paste(colour, (patch * PATCH, 0, (patch + 1) * PATCH, PATCH))
    picture.save(directory / "patches.png")
    picture.putalpha(255)
    picture.putpixel((0, 0), (0, 0, 0, 0))  # so that the alpha channel stays
    picture.save(directory / "alpha.png")
    return module_server.directory(directory)


@pytest.mark.parametrize("name", ["patches.png", "alpha.png"])
async def test_every_format_that_browsers_know_shows_the_same_colours(
    serving: ServerProcess, name: str
) -> None:
    """Flat patches, away from their edges, are right to within rounding."""
    assert CHROMIUM is not None
    with urllib.request.urlopen(serving.image_url(name)) as answer:
        offered = json.load(answer)["extraFormats"]
    formats = ["jpg", "png", *(extra for extra in ("webp", "gif", "avif") if extra in offered)]
    async with watched_page(CHROMIUM) as watched:
        await watched.page.goto(serving.url)
        for extension in formats:
            address = serving.image_url(name, f"full/max/0/default.{extension}")
            shown = await watched.page.evaluate(SHOWN, [address, PATCH, len(COLOURS)])
            for colour, (*seen, alpha) in zip(COLOURS, shown, strict=True):
                assert alpha == 255
                assert max(abs(a - b) for a, b in zip(colour, seen, strict=True)) <= 5, (extension, colour)
        assert watched.problems == []

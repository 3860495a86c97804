"""The page that says what is called when says what is the case."""

import inspect
import re
from dataclasses import replace

import pytest
from PIL import Image

from iiif_server.api import LendsOriginals, ListsNames, Profile, ProfileType
from iiif_server.testing import draw_image
from tests.support.paths import REPOSITORY
from tests.support.plugin_reference import hooks
from tests.testing.recording import CALLS, METHODS, RecordingProfile, StreamingProfile
from tests.testing.sound import SoundOptions

PAGE = (REPOSITORY / "docs" / "explanation" / "life-of-a-profile.md").read_text()
ROWS = dict(re.findall(r"^\| (?!what comes)(.+?) \| (.+?) \|$", PAGE, re.MULTILINE))
TILE = "/broken:a.tif/full/16,/0/default.jpg"


async def first(app, path, **headers):
    await app.get(path, **headers)


async def again(app, path, **headers):
    """The second of two equal requests is what counts."""
    await app.get(path)
    CALLS.clear()
    await app.get(path, **headers)


async def again_with_etag(app, path):
    answer = await app.get(path)
    CALLS.clear()
    assert (await app.get(path, If_None_Match=answer.headers["ETag"])).status == 304


async def head(app, path):
    async with app.session.head(app.url + path) as answer:
        assert answer.status == 200


async def health_and_metrics(app, path):
    for address in (path, "/metrics"):
        await first(app, address)


REQUESTS = {
    "`info.json`": (first, "/broken:a.tif/info.json", 0),
    "the same within `source_check_interval`": (again, "/broken:a.tif/info.json", 10),
    "the same later": (again, "/broken:a.tif/info.json", 0),
    "`info.json` of another page": (first, "/broken:a.tif;page=2/info.json", 0),
    "an image": (first, TILE, 10),
    "the same, kept": (again, TILE, 0),
    "the same, which the client has": (again_with_etag, TILE, 0),
    "a `HEAD` request": (head, TILE, 0),
    "an image whose parameters don't fit": (first, "/broken:a.tif/9999,9999,9,9/max/0/default.jpg", 0),
    "an image that there is not": (first, "/broken:b.tif/full/max/0/default.jpg", 0),
    "`/{identifier}`": (first, "/broken:a.tif", 0),
    "`/{identifier}/thumbnail` or `/preview`": (first, "/broken:a.tif/thumbnail", 0),
    "`/{identifier}/original`, which is lent": (first, "/broken:a.tif/original", 0),
    "`/{identifier}/original`, which is streamed": (first, "/broken:a.tif/original", 0),
    "a `HEAD` request for it": (head, "/broken:a.tif/original", 0),
    "`/originals`, for each file that is lent": (first, "/originals?identifiers=broken:a.tif", 0),
    "the start page with `gallery: true`": (first, "/", 0),
    "`/status`": (first, "/status", 0),
    "`/health`, `/metrics`": (health_and_metrics, "/health", 0),
}


@pytest.fixture
def profile(iiif_profile, tmp_path):
    pages = [draw_image("page", 40, 30, seed=seed).picture for seed in (0, 1)]
    assert isinstance(pages[0], Image.Image)
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    return iiif_profile(ProfileType("broken", SoundOptions, RecordingProfile), folder=".")


@pytest.mark.parametrize("row", REQUESTS)
async def test_what_is_called_when(iiif_app, profile, row):
    request, path, interval = REQUESTS[row]
    if "streamed" in row:
        profile = replace(profile, profile_type=ProfileType("broken", SoundOptions, StreamingProfile))
    async with iiif_app(profile.with_options(source_check_interval=interval), gallery=True) as app:
        CALLS.clear()
        await request(app, path)
        called = list(CALLS)

    assert called == re.findall(r"`(\w+)`", ROWS[row])


async def test_the_start_opens_and_the_end_closes(iiif_app, profile):
    CALLS.clear()
    async with iiif_app(profile):
        assert re.findall(r"`(\w+)`", ROWS["the start of the server"]) == CALLS
        CALLS.clear()

    assert re.findall(r"`(\w+)`", ROWS["the end of the server"]) == CALLS


def test_every_row_is_tested():
    assert {*REQUESTS, "the start of the server", "the end of the server"} == set(ROWS)


def test_every_hook_and_method_is_on_the_page():
    methods = {
        name
        for cls in (Profile, LendsOriginals, ListsNames)
        for name, _ in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }

    assert set(METHODS) == methods
    assert [name for name in (*hooks(), *methods) if name not in PAGE] == []

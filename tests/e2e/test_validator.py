"""The IIIF consortium's own validator against a real server.

Run is every test of level 2 and below, and every other test of a feature that info.json advertises. Not run
is what info.json does not offer, and two checks that contradict the specification, whose neighbours are run
here:

- ``size_noup`` wants an error for ``!2000,3000``. Image API 3.0 section 4.2 has the image served at the
  largest size within that box that needs no upscaling, which is the region's own size.
- ``size_up`` wants ``^max`` at the image's own size. By the same section it is scaled to the largest size
  within ``maxWidth``, ``maxHeight`` and ``maxArea``, one of which upscaling obliges a server to state
  (section 5.7).

The validator's checks of jp2, pdf and webp call ``urllib.urlopen`` and compare bytes with text, as Python 2
did, so they can't pass against any server: they are mended here, and run once such a format is advertised.
"""

import io
import json
import random
import shutil
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.paths import SHARED_IMAGES
from tests.support.server import ServerFactory, ServerProcess

pytestmark = pytest.mark.e2e

validator = pytest.importorskip(
    "iiif_validator.validator",
    reason="the validator is not installed, or libmagic1 is missing, which it needs",
    exc_type=ImportError,
)

VERSION = "3.0"
VERSION_2 = "2.0"
"""What the validator calls the versions of the API that begin with 2."""

IMAGE = "67352ccc-d1b0-11e1-89ae-279075081939"
IDENTIFIER = f"files:{IMAGE}"
LEVEL = 2
SEED = 20120501

OPTIONAL = {
    "format_gif": ("extraFormats", "gif"),
    "format_jp2": ("extraFormats", "jp2"),
    "format_pdf": ("extraFormats", "pdf"),
    "format_tif": ("extraFormats", "tif"),
    "format_webp": ("extraFormats", "webp"),
    "linkheader_canonical": ("extraFeatures", "canonicalLinkHeader"),
    "linkheader_profile": ("extraFeatures", "profileLinkHeader"),
    "rot_full_non90": ("extraFeatures", "rotationArbitrary"),
    "rot_mirror": ("extraFeatures", "mirroring"),
    "rot_mirror_180": ("extraFeatures", "mirroring"),
    "rot_region_non90": ("extraFeatures", "rotationArbitrary"),
    "size_up": ("extraFeatures", "sizeUpscaling"),
}
"""What info.json has to advertise for a test above level 2 to mean anything."""


@cache
def all_tests() -> dict[str, Any]:
    tests: dict[str, Any] = validator.TestSuite(validator.ValidationInfo()).list_tests(VERSION)
    return tests


@pytest.fixture(scope="module")
def serving(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    directory = tmp_path_factory.mktemp("validator")
    save_validator_image(directory / IMAGE)
    return module_server.directory(directory)


def save_validator_image(path: Path) -> None:
    """Store the validator's image; where the file is not at hand, from the validator's table of colours."""
    if (official := SHARED_IMAGES / "validator.png").exists():
        shutil.copyfile(official, path)
        return
    picture = Image.new("RGB", (10, 10))
    for x, column in enumerate(validator.ValidationInfo().colorInfo):
        for y, colour in enumerate(column):
            picture.putpixel((x, y), colour)
    picture.resize((1000, 1000), Image.Resampling.NEAREST).save(path, "PNG")


@pytest.fixture(params=["iiif/3", ""], ids=["prefixed", "plain"])
def api(request: pytest.FixtureRequest, serving: ServerProcess) -> Any:
    """What the validator's command line makes for each test, under each address that the image has."""
    random.seed(SEED)
    host = serving.url.removeprefix("http://")
    return validator.ImageAPI(IDENTIFIER, host, request.param, "http", "", VERSION, debug=False)


@pytest.mark.parametrize(
    "name", sorted(validator.TestSuite(validator.ValidationInfo()).list_tests(VERSION_2))
)
def test_validator_for_version_2(serving: ServerProcess, name: str) -> None:
    """One test of the validator for version 2 passes; all of its features are offered."""
    random.seed(SEED)
    host = serving.url.removeprefix("http://")
    api = validator.ImageAPI(IDENTIFIER, host, "iiif/2", "http", "", VERSION_2, debug=False)
    if name.removeprefix("format_") in {"jp2", "pdf", "webp"}:
        MENDED[name](api)
    else:
        validator.TestSuite(validator.ValidationInfo()).run_test(name, api)
        if api.exception:
            raise api.exception

    assert api.urls or api.tests or name == "baseurl_redirect", "the validator asked for nothing"


def test_every_test_is_known() -> None:
    """The table names exactly the tests above level 2, so that none is left out by accident."""
    assert set(OPTIONAL) == {name for name, test in all_tests().items() if test["level"] > LEVEL}


@pytest.mark.parametrize("name", sorted(all_tests()))
def test_validator(api: Any, name: str) -> None:
    """One test of the validator passes."""
    key, value = OPTIONAL.get(name, ("", ""))
    if key and value not in api.get_info().get(key, []):
        pytest.skip(f"info.json does not list {value} in {key}")
    if name in MENDED:
        MENDED[name](api)
    else:
        validator.TestSuite(validator.ValidationInfo()).run_test(name, api)
        if api.exception:
            raise api.exception

    assert api.urls or api.tests or name == "baseurl_redirect", "the validator asked for nothing"


def mended_size_noup(api: Any) -> None:
    """All of ``size_noup`` but ``!2000,3000``, which is to be served at the image's own size."""
    side = random.randint(1100, 2000)
    for size in (f"{side},{side}", f",{side}", f"{side},", "pct:200"):
        api.fetch(api.make_url({"size": size}))

        assert api.last_status == 400, size

    assert api.get_image({"size": "!2000,3000"}).size == (1000, 1000)


def mended_size_up(api: Any) -> None:
    """All of ``size_up`` but ``^max``, which is to be served at the largest size within the limits."""
    side = random.randint(1100, 2000)
    api.fetch(api.make_url({"size": f",{side}"}))

    assert api.last_status == 400

    check = validator.tests.size_up.Test_Size_Up(validator.ValidationInfo()).checkSize
    check(api, (side, side), f"^{side},{side}", "w,h")
    check(api, (side, side), f"^,{side}", ",h")
    check(api, (side, side), f"^{side},", "w,")
    check(api, (2000, 2000), "^pct:200", "pct:n")
    check(api, (500, 500), "^!2000,500", "!w,h within the image")
    check(api, (2000, 2000), "^!2000,3000", "!w,h beyond the image")
    info = api.get_info()

    assert "maxWidth" in info or "maxArea" in info


def mended_format(extension: str, signature: Callable[[bytes], bool]) -> Callable[[Any], None]:
    """A format's test with the response read as bytes."""

    def run(api: Any) -> None:
        content = api.fetch(api.make_url({"format": extension}))

        assert api.last_status == 200
        assert signature(content), content[:16]

    return run


MENDED = {
    "size_noup": mended_size_noup,
    "size_up": mended_size_up,
    "format_jp2": mended_format("jp2", lambda content: content[4:8] == b"jP  "),
    "format_pdf": mended_format("pdf", lambda content: content.startswith(b"%PDF-")),
    "format_webp": mended_format("webp", lambda content: content[8:12] == b"WEBP"),
}


def test_id_carries_the_profile(serving: ServerProcess) -> None:
    """The same image under its short name states the full identifier, so that there is one ``id``."""
    with urllib.request.urlopen(f"{serving.url}/iiif/3/{IMAGE}/info.json", timeout=5) as response:
        info = json.load(response)

    assert f"{serving.url}/iiif/3/{IDENTIFIER}" == info["id"]


def test_colours_survive(serving: ServerProcess) -> None:
    """The first square of the image has exactly the colour that the validator knows, as PNG."""
    url = f"{serving.url}/iiif/3/{IDENTIFIER}/0,0,100,100/max/0/default.png"
    with urllib.request.urlopen(url, timeout=5) as response:
        picture = Image.open(io.BytesIO(response.read())).convert("RGB")

    assert picture.getpixel((50, 50)) == validator.ValidationInfo().colorInfo[0][0]

"""The quality: colour, gray or bitonal, of images that have more or less of it."""

import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import NO_QUALITIES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("quality", ["color", "default"])
def test_color(example: Service, quality: str) -> None:
    """2.1 §4.4: color is in full color, and so is this server's default."""
    assert_same(example.pixels(f"full/full/0/{quality}.png"), known(*EXAMPLE))


def test_gray(example: Service) -> None:
    """2.1 §4.4: in gray each pixel is black, white or a shade between, the lighter the lighter it was."""
    checks.is_gray(example)


@pytest.mark.parametrize("extension", ["png", "tif", "gif"])
def test_bitonal(example: Service, extension: str) -> None:
    """2.1 §4.4: in bitonal each pixel is either black or white, after scaling and turning, too."""
    checks.is_black_and_white(example, "!22.5", extension)


@pytest.mark.parametrize("name", ["gray.png", "bitonal.png"])
def test_default_without_color(image: Images, name: str) -> None:
    """2.1 §4.4: default may be gray or bitonal, and needs no look at the information first."""
    got = image(name).pixels("full/full/0/default.png")

    assert (got == got[..., :1]).all()


def test_what_is_no_quality(example: Service) -> None:
    """2.1 §4.4: an unsupported quality value should be a 400."""
    assert example.statuses("full/full/0/{}.png", NO_QUALITIES) == dict.fromkeys(NO_QUALITIES, 400)

"""The quality: colour, gray or bitonal, of images that have more or less of it."""

import numpy as np
import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, known
from tests.conformance.service import Images, Service
from tests.conformance.tables import NO_QUALITIES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("quality", ["color", "default"])
def test_color(example: Service, quality: str) -> None:
    """3.0 §4.4: color has all of the color information, and so has this server's default."""
    assert_same(example.pixels(f"full/max/0/{quality}.png"), known(*EXAMPLE))


def test_gray(example: Service) -> None:
    """3.0 §4.4: in gray each pixel is black, white or a shade between, the lighter the lighter it was."""
    checks.is_gray(example)


@pytest.mark.parametrize("extension", ["png", "tif", "gif"])
@pytest.mark.parametrize("rotation", ["0", "!22.5"])
def test_bitonal(example: Service, extension: str, rotation: str) -> None:
    """3.0 §4.4: in bitonal each pixel is either black or white, after scaling and turning, too."""
    checks.is_black_and_white(example, rotation, extension)


def test_bitonal_jpeg(example: Service) -> None:
    """3.0 §4.4: bitonal.jpg, as in the example, is black and white as far as JPEG keeps it so."""
    got = example.pixels("full/max/0/bitonal.jpg").astype(int)

    assert np.ptp(got, axis=2).max() == 0
    assert np.minimum(got, 255 - got).mean() < 8


@pytest.mark.parametrize("name", ["gray.png", "bitonal.png"])
def test_color_of_what_has_none(image: Images, name: str) -> None:
    """3.0 §4.4: a request for color must not be an error, though it should not be listed."""
    service = image(name)

    assert_same(service.pixels("full/max/0/color.png"), service.pixels("full/max/0/default.png"))
    assert "color" not in service.info()["extraQualities"]


@pytest.mark.parametrize("name", ["example.png", "gray.png", "bitonal.png"])
def test_every_quality_is_listed(image: Images, name: str) -> None:
    """3.0 §4.4: all qualities beyond default that are served must be listed; color if it shows something."""
    service = image(name)
    listed = service.info()["extraQualities"]

    assert len(listed) == len(set(listed))
    assert set(listed) == {"gray", "bitonal"} | ({"color"} if name == "example.png" else set())
    assert {service.status(f"full/max/0/{quality}.jpg") for quality in listed} == {200}


@pytest.mark.parametrize("quality", ["default", "gray"])
def test_gray_of_what_is_bitonal(image: Images, quality: str) -> None:
    """3.0 §4.4: a request for gray may return an image comprised solely of bitonal pixels."""
    got = image("bitonal.png").pixels(f"full/max/0/{quality}.png")
    white = known(*EXAMPLE)[..., 0] > 127

    assert_same(got, np.repeat(np.where(white, 255, 0)[..., None], 3, axis=2).astype(np.uint8))


def test_what_is_no_quality(example: Service) -> None:
    """3.0 §4.4: an unsupported quality value should be a 400."""
    assert example.statuses("full/max/0/{}.png", NO_QUALITIES) == dict.fromkeys(NO_QUALITIES, 400)

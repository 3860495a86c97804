"""The format: the suffixes, their media types, and what is in the body."""

import pytest

from tests.conformance import checks
from tests.conformance.pictures import EXAMPLE, assert_same, known
from tests.conformance.service import Service
from tests.conformance.tables import MEDIA_TYPES, NO_FORMATS

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("extension", MEDIA_TYPES)
def test_formats(example: Service, extension: str) -> None:
    """2.1 §4.5: a format that is listed has its media type and its contents; one that is not is a 400."""
    if extension in example.info()["profile"][1]["formats"]:
        checks.is_written(example, extension)
    else:
        assert example.status(f"full/150,/0/default.{extension}") == 400


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_lossless_formats(example: Service, extension: str) -> None:
    """2.1 §4.5: the format changes how the image is written, and nothing else of it."""
    assert_same(example.pixels(f"full/full/0/default.{extension}"), known(*EXAMPLE))


def test_what_is_no_format(example: Service) -> None:
    """2.1 §4.5: an unsupported format value should be a 400, and is not listed."""
    assert example.statuses("full/full/0/default.{}", NO_FORMATS) == dict.fromkeys(NO_FORMATS, 400)
    assert not set(NO_FORMATS) & set(example.info()["profile"][1]["formats"])


def test_a_format_is_required(example: Service) -> None:
    """2.1 §4.7: the explicit format string is always required."""
    incomplete = ["default", "default.", ".png", "png", "gray"]

    assert example.statuses("full/full/0/{}", incomplete) == dict.fromkeys(incomplete, 400)

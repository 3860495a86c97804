"""The format: the suffixes, their media types, and what is in the body."""

import pytest

from tests.conformance import checks
from tests.conformance.pictures import assert_same, known
from tests.conformance.service import Service
from tests.conformance.tables import MEDIA_TYPES, NO_FORMATS

pytestmark = pytest.mark.e2e


def offered(service: Service) -> set[str]:
    """The formats that level 2 and the document have."""
    return {"jpg", "png", *service.info().get("extraFormats", [])}


@pytest.mark.parametrize("extension", MEDIA_TYPES)
def test_formats(example: Service, extension: str) -> None:
    """3.0 §4.5: a format that is offered has its media type and its contents; one that is not is a 400."""
    if extension in offered(example):
        checks.is_written(example, extension)
    else:
        assert example.status(f"full/150,/0/default.{extension}") == 400


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_lossless_formats(example: Service, extension: str) -> None:
    """3.0 §4.5: the format changes how the image is written, and nothing else of it."""
    assert_same(example.pixels(f"full/max/0/default.{extension}"), known(300, 200))


def test_what_is_no_format(example: Service) -> None:
    """3.0 §4.5: an unsupported format value should be a 400, and is not listed."""
    assert example.statuses("full/max/0/default.{}", NO_FORMATS) == dict.fromkeys(NO_FORMATS, 400)
    assert not offered(example) & set(NO_FORMATS)


def test_a_format_is_required(example: Service) -> None:
    """3.0 §4.8: an explicit quality and format are always required."""
    incomplete = ["default", "default.", ".png", "png", "gray"]

    assert example.statuses("full/max/0/{}", incomplete) == dict.fromkeys(incomplete, 400)

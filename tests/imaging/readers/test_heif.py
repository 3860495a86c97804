"""HEIC: upright, first picture, and never from a file that is cut short."""

from pathlib import Path

import pillow_heif
import pytest

from iiif_server.errors import UnreadableSource
from tests.imaging.helpers import Bench, array, mean_error, picture


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    """A file of one picture."""
    pillow_heif.from_pillow(picture(64, 48, noise=0, rings=4)).save(tmp_path / "a.heic", quality=95)
    return tmp_path / "a.heic"


def test_it_is_read(heic: Path, bench: Bench) -> None:
    """By its own decoder."""
    assert bench.probe(heic).media_type == "image/heic"
    assert mean_error(bench.pixels(heic), array(picture(64, 48, noise=0, rings=4))) < 6


@pytest.mark.parametrize("missing", [1, 100])
def test_a_file_that_is_cut_short_is_refused(heic: Path, bench: Bench, missing: int) -> None:
    """Though the decoder would make something of it."""
    heic.write_bytes(heic.read_bytes()[:-missing])
    with pytest.raises(UnreadableSource, match="cut short"):
        bench.probe(heic)


def test_a_real_one_is_refused(shared_images: Path, bench: Bench) -> None:
    """One byte is missing."""
    with pytest.raises(UnreadableSource, match="cut short"):
        bench.probe(shared_images / "bad-heic-truncated.heic")

"""``metadata: keep`` by every lane and in every format; ``strip`` leaves nothing."""

import io
from pathlib import Path

import pytest
from PIL import Image

from iiif_server.iiif.parameters import Format
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.sources import credit_of
from iiif_server.imaging.encode import available_formats
from iiif_server.imaging.lossless import lossless_available
from iiif_server.imaging.tasks import RenderSettings
from tests.imaging.helpers import Bench, array, picture

ARTIST, COPYRIGHT, ORIENTATION, GPS = 315, 33432, 274, 34853
KEEP, STRIP = RenderSettings(keep_metadata=True), RenderSettings()
NAMES = "Ada Lovelace", "© Ada Lovelace"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A photograph that is stored on its side, and says who made it and where."""
    exif = Image.Exif()
    exif[ARTIST], exif[COPYRIGHT] = "Set in the camera", "Ada"
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    xmp = xmp_packet(Credit(creators=(NAMES[0],), copyright_notice=NAMES[1]))
    picture(64, 48).save(tmp_path / "a.jpg", exif=exif, xmp=xmp, quality=90, subsampling=0)
    return tmp_path / "a.jpg"


def credit_in(data: bytes) -> Credit:
    with Image.open(io.BytesIO(data)) as image:
        return credit_of(image)


REQUESTS = {
    "copy": "full/max/270/default.jpg",
    "lossless": "full/max/0/default.jpg",
    "pixels": "full/20,/0/default.jpg",
}


@pytest.mark.parametrize("lane", REQUESTS)
def test_by_every_lane(source: Path, bench: Bench, lane: str) -> None:
    """Rights and credit, and nothing else; the pixels are the same either way."""
    if lane == "lossless" and not lossless_available():
        pytest.skip("there is no jpegtran-cffi here")
    taken, kept = bench.render_any(source, REQUESTS[lane], KEEP)
    assert taken == lane
    credit = credit_in(kept)
    assert (credit.creators, credit.copyright_notice) == ((NAMES[0],), NAMES[1])
    with Image.open(io.BytesIO(kept)) as image:
        exif = image.getexif()
    assert set(exif) <= {ARTIST, COPYRIGHT}
    _, stripped = bench.render_any(source, REQUESTS[lane], STRIP)
    assert not credit_in(stripped)
    assert b"Ada" not in stripped
    assert (array(kept) == array(stripped)).all()


@pytest.mark.parametrize("target", available_formats())
def test_in_every_format(source: Path, bench: Bench, target: Format) -> None:
    """Somewhere in the file; read back where Pillow reads the format's metadata."""
    for quality in ("default", "bitonal"):
        _, kept = bench.render_any(source, f"full/20,/0/{quality}.{target}", KEEP)
        assert b"Lovelace" in kept
        if target not in {Format.PDF, Format.GIF}:
            assert credit_in(kept).copyright_notice == NAMES[1]
        _, again = bench.render_any(source, f"full/20,/0/{quality}.{target}", KEEP)
        assert kept == again
        _, stripped = bench.render_any(source, f"full/20,/0/{quality}.{target}", STRIP)
        assert b"Lovelace" not in stripped


def test_of_sources_in_other_formats(tmp_path: Path, bench: Bench) -> None:
    """TIFF tags, for one."""
    picture(64, 48).save(tmp_path / "a.tif", tiffinfo={ARTIST: "Ada", COPYRIGHT: "(c)"})
    _, kept = bench.render_any(tmp_path / "a.tif", "full/max/0/default.jpg", KEEP)
    assert credit_in(kept).creators == ("Ada",)

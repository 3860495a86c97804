"""What readers tell besides pixels: resolution, and rights and credit."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from iiif_server.imaging.metadata import PER_INCH, exif_resolution, resolution
from iiif_server.imaging.readers.registry import open_source
from iiif_server.imaging.tasks import SourceFile, SourceLimits
from tests.imaging.helpers import picture

ARTIST, COPYRIGHT, X_RESOLUTION, Y_RESOLUTION, UNIT = 315, 33432, 282, 283, 296


def source(path: Path) -> Any:
    """Open as a worker does; closed by the collector."""
    return open_source(SourceFile(str(path), "1"), SourceLimits())[1]


def exif(**tags: Any) -> bytes:
    block = Image.Exif()
    for name, value in tags.items():
        block[int(name[1:])] = value
    return block.tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
def test_resolution_of_the_format(tmp_path: Path, suffix: str) -> None:
    """In pixels per inch, whatever the unit is."""
    path = tmp_path / f"a.{suffix}"
    picture(20, 10).save(path, dpi=(300, 300))
    opened = source(path)
    assert opened.header.resolution == pytest.approx(300, abs=0.02)
    opened.close()
    picture(20, 10).save(path, dpi=(300, 200))
    opened = source(path)
    assert opened.header.resolution is None
    opened.close()


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_resolution_of_exif(tmp_path: Path, suffix: str) -> None:
    """Which counts more than that of JFIF."""
    path = tmp_path / f"a.{suffix}"
    block = exif(t282=Fraction(200), t283=Fraction(200), t296=3)
    options: dict[str, Any] = {"dpi": (72, 72)} if suffix == "jpg" else {}
    picture(20, 10).save(path, exif=block, **options)
    opened = source(path)
    assert opened.header.resolution == pytest.approx(508)
    opened.close()


@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (1, 1), (-300, -300), (300, 150), (float("nan"),) * 2, (float("inf"),) * 2, (None, 3), ("", "")],
)
def test_nonsense_is_no_resolution(x: Any, y: Any) -> None:
    """Nor an error."""
    assert resolution(x, y, PER_INCH) is None


@pytest.mark.parametrize(
    "block",
    [None, b"", b"Exif\0\0", b"Exif\0\0MM\0*" + b"\xff" * 60, 3, exif(t282=Fraction(0), t283=Fraction(0))],
)
def test_damaged_exif_has_no_resolution(block: Any) -> None:
    """It counts as absent."""
    assert exif_resolution(block) is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif", "heic"])
def test_credit(tmp_path: Path, suffix: str) -> None:
    """Found in every format that carries it."""
    path = tmp_path / f"a.{suffix}"
    block = exif(t315="Ada", t33432="(c) Ada")
    options: dict[str, Any] = {"exif": block}
    if suffix == "tif":
        options = {"tiffinfo": {ARTIST: "Ada", COPYRIGHT: "(c) Ada"}}
    if suffix == "heic":
        __import__("pillow_heif").register_heif_opener()
        options["format"] = "HEIF"
    picture(64, 64).save(path, **options)
    opened = source(path)
    credit = opened.credit()
    assert (credit.creators, credit.copyright_notice) == (("Ada",), "(c) Ada")
    assert opened.decode(1, None).image.size == (64, 64)
    opened.close()


def test_credit_of_png_text(tmp_path: Path) -> None:
    """An XMP packet in a chunk of its own."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(
        "XML:com.adobe.xmp",
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="NHM"/>'
        "</rdf:RDF></x:xmpmeta>",
    )
    picture(20, 10).save(tmp_path / "a.png", pnginfo=info)
    opened = source(tmp_path / "a.png")
    assert opened.credit().credit_line == "NHM"
    opened.close()


@pytest.mark.parametrize("suffix", ["gif", "bmp", "jp2", "png"])
def test_no_credit(tmp_path: Path, suffix: str) -> None:
    """Is no error."""
    picture(20, 10).save(tmp_path / f"a.{suffix}")
    opened = source(tmp_path / f"a.{suffix}")
    assert not opened.credit()
    opened.close()

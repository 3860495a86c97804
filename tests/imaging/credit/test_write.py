"""Credit in derivatives of each format."""

import io
import warnings
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import ExifTags, Image, PdfParser, features

from iiif_server.iiif.parameters import Format
from iiif_server.imaging.credit.exif import exif_block
from iiif_server.imaging.credit.model import MAX_TEXT, Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.sources import credit_of, read_credit
from iiif_server.imaging.credit.write import credit_options, with_credit, with_credit_jpeg
from iiif_server.imaging.jpeg import read_layout
from tests.imaging.credit.helpers import CREDITS, FULL, saved
from tests.imaging.helpers import array, exif, jpeg, picture

NAMES = {Format.JPG: "JPEG", Format.TIF: "TIFF", Format.JP2: "JPEG2000"}
CODECS = {Format.WEBP: "webp", Format.TIF: "libtiff", Format.AVIF: "avif", Format.JP2: "jpg_2000"}
OPTIONS: dict[Format, dict[str, Any]] = {
    Format.TIF: {"compression": "tiff_adobe_deflate"},
    Format.AVIF: {"max_threads": 1},
    Format.PDF: {"creationDate": None, "modDate": None},
}
TOO_LARGE = Credit(
    creators=tuple(f"{number}" + "&" * (MAX_TEXT - 2) for number in range(9)),
    copyright_owners=tuple(f"{number}" + "&" * (MAX_TEXT - 2) for number in range(9)),
)


def written(target: Format, credit: Credit) -> bytes:
    """A picture in a format, with credit put in both ways."""
    if target in CODECS and not features.check(CODECS[target]):
        pytest.skip(f"Pillow writes no {target} here")
    options = OPTIONS.get(target, {}) | credit_options(credit, target)
    return with_credit(saved(NAMES.get(target, target.upper()), **options), credit, target)


def packets(data: bytes) -> list[bytes]:
    """The XMP packets in a file, as scanners find them."""
    ends = [part.partition(b'<?xpacket end="r"?>') for part in data.split(b"<?xpacket begin=")[1:]]
    return [b"<?xpacket begin=" + inner + end for inner, end, _ in ends]


@pytest.mark.parametrize("target", Format)
def test_every_format_carries_the_credit(target):
    """One whole packet of XMP, the same bytes each time, and the same pixels as without it."""
    data = written(target, FULL)
    assert packets(data) == [xmp_packet(FULL)]
    assert data == written(target, FULL)
    if target is not Format.PDF:
        assert (array(data) == array(written(target, Credit()))).all()


@pytest.mark.parametrize("target", [item for item in Format if item not in {Format.GIF, Format.PDF}])
def test_what_is_written_is_read(target):
    """As of a source of that format."""
    with Image.open(io.BytesIO(written(target, FULL))) as image:
        assert credit_of(image) == FULL


@pytest.mark.parametrize("target", Format)
def test_without_credit_nothing_is_written(target):
    """Not even an empty block."""
    data = written(target, Credit())
    assert credit_options(Credit(), target) == {}
    assert with_credit(data, Credit(), target) == data
    assert packets(data) == []
    assert b"Exif\0\0" not in data


@pytest.mark.parametrize("target", [Format.JPG, Format.PNG, Format.WEBP, Format.TIF, Format.AVIF])
def test_exif_says_two_things(target):
    """Pillow, as another reader, finds Artist and Copyright; no orientation, place, date or camera."""
    with Image.open(io.BytesIO(written(target, FULL))) as image:
        tags = dict(image.getexif())
    texts = {key: str(tags.pop(key)).encode("latin-1") for key in (ARTIST, NOTICE)}
    assert texts == {ARTIST: 'Zoë Ågren; "A; ""B"" & <C>"'.encode(), NOTICE: "© 2024 Muséum 自然".encode()}
    if target is not Format.TIF:
        assert tags == {}
    assert not tags.keys() & {ExifTags.Base.Orientation, ExifTags.IFD.GPSInfo, ExifTags.IFD.Exif}


ARTIST, NOTICE = ExifTags.Base.Artist, ExifTags.Base.Copyright


@pytest.mark.parametrize("target", Format)
def test_what_only_xmp_says_makes_no_exif(target):
    """An empty Artist would be a statement."""
    credit = Credit(source="a")
    data = written(target, credit)
    assert packets(data) == [xmp_packet(credit)]
    assert exif_block(credit) == b""
    assert b"Exif\0\0" not in data


def test_pdf_is_sound():
    """Its catalogue leads to the metadata; pages, image and author are still there."""
    data = written(Format.PDF, FULL)
    plain = saved("PDF", creationDate=None, modDate=None, author="; ".join(FULL.creators))
    assert data.startswith(plain)
    with PdfParser.PdfParser(buf=data) as pdf:
        assert len(pdf.pages) == 1
        assert pdf.info.Author == "; ".join(FULL.creators)
        stream = pdf.read_indirect(pdf.root[b"Metadata"])
        assert stream.dictionary[b"Subtype"] == b"XML"
        assert stream.decode() == xmp_packet(FULL)


def test_gif_is_sound():
    """Readers that know the extension and readers that don't find the end of it."""
    plain, data = saved("GIF"), written(Format.GIF, FULL)
    assert data.startswith(b"GIF89a")
    assert len(data) == len(plain) + 14 + len(xmp_packet(FULL)) + 258
    assert data.endswith(plain[-500:])


@given(CREDITS)
def test_jpeg_segments_hold_any_credit(credit):
    """Or, where they can't, there are none."""
    plain = jpeg(picture(16, 16))
    data = with_credit_jpeg(plain, credit)
    if len(exif_block(credit)) > 65_533 or len(xmp_packet(credit)) > 65_504:
        assert data == plain
        return
    layout = read_layout(io.BytesIO(data), max_pixels=10**6, max_scans=10)
    assert read_credit(layout.exif, layout.xmp, None) == credit
    assert layout.assemble(io.BytesIO(data)) == plain


@pytest.mark.parametrize(
    "source",
    [
        lambda: jpeg(picture(40, 30)),
        lambda: jpeg(picture(40, 30), progressive=True, icc_profile=bytes(70_000)),
        lambda: jpeg(picture(40, 30).convert("CMYK")),
        lambda: jpeg(picture(40, 30), keep_rgb=True),
        lambda: jpeg(picture(40, 30), exif=exif(6)),
    ],
    ids=["plain", "profile", "CMYK without JFIF", "RGB without JFIF", "EXIF"],
)
def test_jpeg_insertion_changes_nothing_else(source):
    """The segments lie behind the JFIF header, and without them the file is what it was."""
    plain = source()
    data = with_credit_jpeg(plain, FULL)
    at = 20 if plain[2:4] == b"\xff\xe0" else 2
    length = len(data) - len(plain)
    assert length > 0
    assert data[:at] + data[at + length :] == plain
    assert data[at : at + 10] == b"\xff\xe1" + (len(exif_block(FULL)) + 2).to_bytes(2) + b"Exif\0\0"
    assert (array(data) == array(plain)).all()
    assert with_credit_jpeg(data, FULL) == data


def test_jpeg_by_both_ways_is_the_same():
    """So that doing both does no harm."""
    options = credit_options(FULL, Format.JPG)
    data = with_credit_jpeg(saved("JPEG"), FULL)
    assert saved("JPEG", **options) == data == with_credit_jpeg(saved("JPEG", **options), FULL)


def test_jpeg_refuses_what_no_segment_holds():
    """Both ways; other formats have room."""
    assert len(xmp_packet(TOO_LARGE)) > 65_504
    plain = saved("JPEG")
    assert with_credit_jpeg(plain, TOO_LARGE) == plain
    assert credit_options(TOO_LARGE, Format.JPG) == {}
    assert packets(written(Format.PNG, TOO_LARGE)) == [xmp_packet(TOO_LARGE)]


@pytest.mark.parametrize("target", Format)
@given(data=st.sampled_from([b"", b"GIF89a", b"GIF88a" + bytes(20), b"%PPF-", b"\xff\xd9"]) | st.binary())
def test_what_is_no_such_file_comes_back(target, data):
    """As it is."""
    assume(not data.startswith((b"\xff\xd8", b"%PDF-")))
    assert with_credit(data, FULL, target) == data


def test_tiff_of_one_bit():
    """Bitonal ones are written in another way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = io.BytesIO()
        picture(40, 30).convert("1").save(
            out, "TIFF", compression="group4", **credit_options(FULL, Format.TIF)
        )
    with Image.open(out) as image:
        assert credit_of(image) == FULL

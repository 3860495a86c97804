"""Blocks that are read together, where they lie in files of each format."""

import io
from pathlib import Path
from typing import BinaryIO
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from iiif_server.errors import IIIFServerError
from iiif_server.imaging import jpeg, png
from iiif_server.imaging.credit import sources
from iiif_server.imaging.credit.exif import exif_block
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.sources import credit_of, jp2_blocks, read_credit
from iiif_server.imaging.credit.tiff import ARTIST, COPYRIGHT, IPTC, PHOTOSHOP, XMP
from iiif_server.imaging.jpeg import PHOTOSHOP_SIGNATURE
from iiif_server.imaging.limits import guarded_decoding
from tests.imaging.credit.helpers import directory, iim, resource, saved

EXIF = exif_block(Credit(("exif",), "exif"))
IIM = iim((2, 80, b"iptc"), (2, 110, b"iptc"))
PACKET = xmp_packet(Credit(("xmp",)))
ALL = Credit(("xmp",), "exif", credit_line="iptc")


def credit_in(data: bytes) -> Credit:
    with Image.open(io.BytesIO(data)) as image:
        return credit_of(image)


def with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    return data[:2] + bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2) + payload + data[2:]


def with_box(data: bytes, kind: bytes, payload: bytes, head: str = "short") -> bytes:
    size = 24 + len(payload)
    if head == "long":
        return data + b"\0\0\0\1uuid" + (size + 8).to_bytes(8) + kind + payload
    return data + (0 if head == "last" else size).to_bytes(4) + b"uuid" + kind + payload


def test_each_property_comes_from_the_first_block_that_has_it():
    """XMP, IPTC, EXIF."""
    assert read_credit(EXIF, PACKET, IIM) == ALL
    assert read_credit(EXIF, None, IIM).creators == ("iptc",)
    assert read_credit(EXIF, None, None).creators == ("exif",)
    assert read_credit(None, None, None) == read_credit(b"", b"", b"") == Credit()


def test_a_damaged_block_costs_no_other():
    """Not even where a reader has a fault."""
    assert read_credit(EXIF, b"<", IIM).creators == ("iptc",)
    with mock.patch.object(sources, "read_xmp", side_effect=RuntimeError):
        assert read_credit(EXIF, PACKET, IIM).creators == ("iptc",)


def test_running_out_of_memory_is_not_hidden():
    """The worker's owner decides."""
    with mock.patch.object(sources, "read_xmp", side_effect=MemoryError), pytest.raises(MemoryError):
        read_credit(EXIF, PACKET, IIM)
    with mock.patch.object(sources, "read_xmp", side_effect=MemoryError), pytest.raises(MemoryError):
        credit_in(saved("JPEG", xmp=PACKET))


@given(*[st.binary() | st.none()] * 3)
def test_any_bytes_do(exif, xmp, iptc):
    """Never an error."""
    assert isinstance(read_credit(exif, xmp, iptc), Credit)


@given(*[st.binary(max_size=60)] * 3)
def test_any_blocks_in_a_file_do(exif, xmp, iptc):
    """Of JPEG and TIFF, which have most of them."""
    data = with_segment(saved("JPEG", xmp=xmp), 0xE1, b"Exif\0\0" + exif)
    layout = jpeg.read_layout(io.BytesIO(data), max_pixels=10**6, max_scans=10)
    assert isinstance(read_credit(layout.exif, layout.xmp, layout.iptc), Credit)
    tags = {ARTIST: exif, XMP: xmp, IPTC: iptc, PHOTOSHOP: iptc}
    assert isinstance(sources.credit_of_tiff(io.BytesIO(directory(tags))), Credit)


def test_jpeg():
    """By Pillow, and by the walk through its segments, which sees that the image stays as it is."""
    plain = saved("JPEG")
    app13 = PHOTOSHOP_SIGNATURE + resource(0x0404, IIM)
    data = with_segment(saved("JPEG", exif=EXIF, xmp=PACKET), 0xED, app13)
    layout = jpeg.read_layout(io.BytesIO(data), max_pixels=10**6, max_scans=10)
    assert read_credit(layout.exif, layout.xmp, layout.iptc) == credit_in(data) == ALL
    assert layout.assemble(io.BytesIO(data)) == plain
    layout = jpeg.read_layout(io.BytesIO(plain), max_pixels=10**6, max_scans=10)
    assert layout.exif is layout.xmp is layout.iptc is None


def test_jpeg_resources_that_go_on_in_the_next_segment():
    """In order, and within bounds."""
    blocks = resource(0x0404, iim((2, 25, bytes(70_000)[:30_000]), (2, 80, b"a")))
    data = saved("JPEG")
    for part in (blocks[20_000:], blocks[:20_000]):
        data = with_segment(data, 0xED, PHOTOSHOP_SIGNATURE + part)
    layout = jpeg.read_layout(io.BytesIO(data), max_pixels=10**6, max_scans=10)
    assert layout.iptc == blocks
    for _ in range(100):
        data = with_segment(data, 0xED, PHOTOSHOP_SIGNATURE + bytes(60_000))
    layout = jpeg.read_layout(io.BytesIO(data), max_pixels=10**6, max_scans=10)
    assert layout.iptc is not None
    assert len(layout.iptc) == 1 << 20


def test_png():
    """By Pillow, and by the walk through its chunks."""
    for compressed in (False, True):
        data = saved("PNG", exif=EXIF, pnginfo=png_text(PACKET, compressed=compressed))
        layout = png.read_layout(io.BytesIO(data))
        assert layout.xmp == PACKET
        expected = Credit(("xmp",), "exif")
        assert read_credit(layout.exif, layout.xmp, None) == credit_in(data) == expected


def png_text(packet: bytes, *, compressed: bool) -> PngInfo:
    info = PngInfo()
    info.add_itxt("Comment", "something else")
    info.add_itxt("XML:com.adobe.xmp", packet.decode(), zip=compressed)
    return info


TIFF_TAGS = {ARTIST: b"exif\0", COPYRIGHT: b"exif\0", XMP: PACKET, IPTC: IIM}


def test_tiff():
    """Its own tags stand for EXIF; the file stays where it stands."""
    file = io.BytesIO(directory(TIFF_TAGS, big=True))
    file.seek(7)
    assert sources.credit_of_tiff(file) == ALL
    assert file.tell() == 7
    data = saved("TIFF", tiffinfo={key: value for key, value in TIFF_TAGS.items() if key != IPTC})
    assert credit_in(data) == Credit(("xmp",), "exif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("swapped", [False, True])
def test_tiff_with_iptc_in_words(order, swapped):
    """Of 32 bits, in whichever order they were put; Pillow keeps the first word only."""
    words = IIM + bytes(-len(IIM) % 4)
    if swapped:
        words = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    data = directory({IPTC: words}, order=order, kind=4)
    assert sources.credit_of_tiff(io.BytesIO(data)).credit_line == "iptc"


def test_tiff_with_resources():
    """Photoshop's, where the bare data is missing."""
    data = directory({PHOTOSHOP: resource(0x0404, IIM)}, kind=7)
    assert sources.credit_of_tiff(io.BytesIO(data)).credit_line == "iptc"


@pytest.mark.parametrize(("name", "codec"), [("WEBP", "webp"), ("AVIF", "avif")])
def test_webp_and_avif(name, codec):
    """By Pillow."""
    if not features.check(codec):
        pytest.skip(f"Pillow has no {name} here")
    assert credit_in(saved(name, exif=EXIF, xmp=PACKET)) == Credit(("xmp",), "exif")


JP2 = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x10free12345678"
XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
EXIF_BOX = b"JpgTiffExif->JP2"
IPTC_BOX = bytes.fromhex("33C7A4D2B81D4723A0BAF1A3E097AD38")


def test_jp2():
    """Boxes in any order, with each form of length; those of other kinds are stepped over."""
    data = with_box(JP2, b"another kind....", b"x")
    data = with_box(with_box(data, XMP_BOX, PACKET, "long"), IPTC_BOX, IIM)
    file = io.BytesIO(with_box(with_box(data, XMP_BOX, b"a second one"), EXIF_BOX, EXIF, "last"))
    assert jp2_blocks(file) == (EXIF, PACKET, IIM)
    assert file.tell() == 0
    if features.check("jpg_2000"):
        assert credit_in(with_box(saved("JPEG2000"), XMP_BOX, PACKET)).creators == ("xmp",)


@given(st.binary(max_size=80))
def test_any_boxes_do(data):
    """Never an error."""
    assert jp2_blocks(io.BytesIO(JP2 + data)) is not None
    assert jp2_blocks(io.BytesIO(data)) is not None


def test_an_image_that_has_nothing_says_nothing(tmp_path: Path):
    """Made here, loaded and closed, or with blocks of types that nobody expects."""
    assert credit_of(Image.new("L", (1, 1))) == Credit()
    (tmp_path / "a.tif").write_bytes(saved("TIFF", tiffinfo={ARTIST: b"a"}))
    with Image.open(tmp_path / "a.tif") as image:
        assert credit_of(image).creators == ("a",)
    assert credit_of(image) == Credit()
    odd = Image.new("L", (1, 1))
    odd.info = {"exif": "text", "xmp": 5, "photoshop": {0x0404: [1]}}
    assert credit_of(odd) == Credit()


def test_a_file_that_fails_says_nothing(tmp_path: Path):
    """Nor does it raise."""
    (tmp_path / "a.tif").write_bytes(saved("TIFF", tiffinfo={ARTIST: b"a"}))
    with (
        Image.open(tmp_path / "a.tif") as image,
        mock.patch.object(sources, "credit_of_tiff", side_effect=OSError),
    ):
        assert credit_of(image) == Credit()


def test_real_files(shared_images: Path):
    """None raises; what the known ones say is what ExifTool finds in them."""
    found = {}
    for path in sorted(shared_images.iterdir()):
        if path.suffix not in {".md", ".heic"}:
            with path.open("rb") as file:
                found[path.name] = _credit_in_file(file)
    assert len(found) > 60
    assert {name: credit for name, credit in found.items() if credit} == {
        "exif-long-description.jpg": Credit(
            creators=("SSG KYLE DAVIS",), credit_line="HHC 1ST BCT, 10TH MOUNTAIN", source="DIGITAL"
        ),
    }


def _credit_in_file(file: BinaryIO) -> Credit:
    """As readers of each format are to ask for it."""
    head = file.read(4)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            layout = jpeg.read_layout(file, max_pixels=10**9, max_scans=1000)
            return read_credit(layout.exif, layout.xmp, layout.iptc)
        if head == png.SIGNATURE[:4]:
            chunks = png.read_layout(file)
            return read_credit(chunks.exif, chunks.xmp, None)
        with guarded_decoding(10**9), Image.open(file) as image:
            return credit_of(image)
    except IIIFServerError:
        return Credit()

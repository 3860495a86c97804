"""The segments of JPEG files."""

import io
import random
import time
from pathlib import Path

import pytest
from PIL import Image

from iiif_server.errors import IIIFServerError, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.jpeg import JpegLayout, read_layout
from tests.imaging.helpers import array, exif, jpeg, picture

ICC = bytes(range(256)) * 600


def layout_of(data: bytes, *, max_pixels: int = 10**8, max_scans: int = 100) -> JpegLayout:
    return read_layout(io.BytesIO(data), max_pixels=max_pixels, max_scans=max_scans)


def stripped(data: bytes) -> bytes:
    return layout_of(data).assemble(io.BytesIO(data))


def with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    return data[:2] + bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2) + payload + data[2:]


def test_takes_metadata_out_and_leaves_the_image() -> None:
    """EXIF, XMP, ICC, comments and unknown application data go; the pixels are the same."""
    image = picture(60, 40)
    plain = jpeg(image)
    full = jpeg(image, exif=exif(3), icc_profile=ICC, comment=b"a secret", xmp=b"<x:xmpmeta/>")
    full = with_segment(full, 0xED, b"Photoshop 3.0\0secret")
    assert stripped(full) == stripped(plain) == plain
    layout = layout_of(full)
    assert (layout.icc, layout.xmp, layout.iptc) == (ICC, b"<x:xmpmeta/>", b"secret")


def test_takes_thumbnails_out() -> None:
    """Of JFIF too, whose header stays."""
    plain = jpeg(picture(60, 40))
    start = plain.index(b"JFIF")
    with_thumbnail = (
        plain[: start - 2]
        + (16 + 12).to_bytes(2)
        + plain[start : start + 12]
        + b"\x02\x02"
        + b"t" * 12
        + plain[start + 14 :]
    )
    assert stripped(with_thumbnail) == plain
    assert stripped(with_segment(plain, 0xE0, b"JFXX\0\x10thumbnail")) == plain


def test_drops_what_follows_the_end_marker() -> None:
    """Such as the second picture of an MPO, or a video."""
    plain = jpeg(picture(60, 40))
    assert stripped(plain + plain) == stripped(plain + b"trailer") == plain


@pytest.mark.parametrize(
    ("options", "mcu"),
    [({"subsampling": 0}, (8, 8)), ({"subsampling": 1}, (16, 8)), ({"subsampling": 2}, (16, 16))],
)
def test_reads_the_frame(options: dict[str, int], mcu: tuple[int, int]) -> None:
    """Size, components and the grid of blocks."""
    layout = layout_of(jpeg(picture(61, 40), **options))
    assert layout.frame.size == Dimensions(61, 40)
    assert layout.frame.mcu == mcu
    assert layout.is_ycc


def test_tells_ycc_from_rgb_as_decoders_do() -> None:
    """By JFIF first, then by Adobe's transform, then by the components' names."""
    rgb = jpeg(picture(16, 16), keep_rgb=True)
    assert not layout_of(rgb).is_ycc
    assert layout_of(with_segment(rgb, 0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")).is_ycc
    named = jpeg(picture(16, 16))
    named = named[:2] + named[named.index(b"\xff\xdb") :]
    assert layout_of(named).is_ycc
    assert not layout_of(with_segment(named, 0xEE, b"Adobe\0\x64\0\0\0\0\0")).is_ycc
    assert not layout_of(jpeg(picture(16, 16, bands=1))).is_ycc


def test_an_incomplete_profile_is_none() -> None:
    """One of three chunks is missing."""
    full = jpeg(picture(16, 16), icc_profile=ICC)
    first = full.index(b"ICC_PROFILE\0")
    broken = full[:first] + b"XXX" + full[first + 3 :]
    assert layout_of(broken).icc is None


def test_refuses_scan_bombs() -> None:
    """A progressive file of more scans than allowed is refused while its scans are counted."""
    data = jpeg(picture(64, 64), progressive=True)
    count = data.count(b"\xff\xda")
    assert layout_of(data, max_scans=count).frame.size == (64, 64)
    with pytest.raises(SourceTooLarge, match="scans"):
        layout_of(data, max_scans=count - 1)


def test_refuses_more_pixels_than_allowed() -> None:
    """From the frame header, with nothing decoded."""
    with pytest.raises(SourceTooLarge):
        layout_of(jpeg(picture(64, 64)), max_pixels=64 * 64 - 1)


@pytest.mark.parametrize("cut", [1, 2, 10, 100, 500, 700])
def test_a_file_cut_short_is_damaged(cut: int) -> None:
    """Wherever it ends, if not in its end marker."""
    with pytest.raises(UnreadableSource):
        layout_of(jpeg(picture(64, 64))[:-cut])


def test_gives_up_early_on_a_sparse_giant(tmp_path: Path) -> None:
    """Gigabytes of nothing behind a marker, or behind a small frame, are not read through."""
    head = jpeg(picture(64, 64))
    started = time.monotonic()
    for name, start in {"marker": b"\xff\xd8\xff", "frame": head[:-2]}.items():
        path = tmp_path / name
        path.write_bytes(start)
        with path.open("r+b") as file:
            file.truncate(8 * 1024**3)
        with path.open("rb") as file, pytest.raises(UnreadableSource):
            read_layout(file, max_pixels=10**8, max_scans=100)
    assert time.monotonic() - started < 20


def test_refuses_endless_segments() -> None:
    """Millions of empty comments."""
    data = jpeg(picture(16, 16))
    with pytest.raises(UnreadableSource, match="segments"):
        layout_of(data[:2] + b"\xff\xfe\x00\x02" * 30_000 + data[2:])


def test_steps_over_what_decoders_step_over() -> None:
    """Fill bytes and a little junk between segments."""
    data = jpeg(picture(32, 32))
    at = data.index(b"\xff\xdb")
    assert stripped(data[:at] + b"\xff\xff\xff" + data[at:]) == data
    assert stripped(data[:at] + b"junk\x00\xff\x00" + data[at:]) == data


def test_keeps_restart_markers() -> None:
    """They are part of the data."""
    data = jpeg(picture(64, 64), restart_marker_blocks=1)
    assert b"\xff\xd3" in data
    assert stripped(data) == data


def test_what_it_assembles_is_what_is_decoded() -> None:
    """For gray, CMYK and progressive files as well."""
    for image in (picture(33, 21, bands=1), picture(33, 21).convert("CMYK")):
        for progressive in (False, True):
            data = jpeg(image, exif=exif(6), progressive=progressive)
            assert (array(stripped(data)) == array(data)).all()


def test_survives_any_damage() -> None:
    """Two thousand mutations: a layout, or one of our errors."""
    chance = random.Random(11)
    whole = jpeg(picture(48, 32), exif=exif(6), icc_profile=ICC[:1000], progressive=True)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            layout = layout_of(bytes(data))
        except IIIFServerError:
            continue
        assert layout.assemble(io.BytesIO(bytes(data)))


def test_a_file_that_shrinks_meanwhile_is_damaged() -> None:
    """Never a stump passed off as an image."""
    data = jpeg(picture(48, 32))
    with pytest.raises(UnreadableSource):
        layout_of(data).assemble(io.BytesIO(data[:-50]))


def test_real_files(shared_images: Path) -> None:
    """A truncated Adobe segment and a second picture cost nothing."""
    for name in ("bad-jpeg-app14.jpg", "jpeg-mpo.mpo", "jpeg-icc-chunked.jpg", "photo-progressive-12mp.jpg"):
        data = (shared_images / name).read_bytes()
        with Image.open(io.BytesIO(stripped(data))) as image:
            image.load()
            assert set(image.info) <= {
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "dpi",
                "adobe",
                "adobe_transform",
                "progressive",
                "progression",
            }

"""Opening sources: which files, which formats, and what their headers tell."""

import os
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from iiif_server.errors import IIIFServerError, ImageNotFound, SourceTooLarge, UnreadableSource
from iiif_server.imaging.lossless import lossless_available
from iiif_server.imaging.readers.registry import open_source
from iiif_server.imaging.tasks import SourceFile, SourceLimits, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench, create
from tests.imaging.helpers import EXIF_ORIENTATION, Bench, array, exif, jpeg, mean_error, picture

TOP_LEFT_RED = (230, 20, 20)


def marked(orientation: int) -> Image.Image:
    """An image whose upright form, 48 by 32, is red in its top left corner, stored in an orientation."""
    upright = picture(48, 32, noise=0, rings=5)
    upright.paste(TOP_LEFT_RED, (0, 0, 16, 8))
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    return upright.transpose(method) if method is not None else upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp", "avif"])
def test_images_come_upright(tmp_path: Path, bench: Bench, suffix: str, orientation: int) -> None:
    """The stored orientation is applied once, in the size that is told and in the pixels."""
    path = tmp_path / f"image.{suffix}"
    tags = {EXIF_ORIENTATION: orientation}
    options: dict[str, Any] = {"tiffinfo": tags} if suffix == "tif" else {"exif": exif(orientation)}
    marked(orientation).save(path, quality=95, lossless=True, **options)
    assert bench.probe(path).size == (48, 32)
    pixels = array(bench.render(path, "full/max/0/default.png")[1])
    assert mean_error(pixels, array(marked(1))) < 6
    assert mean_error(pixels[2:6, 2:14], pixels[2:6, 2:14] * 0 + TOP_LEFT_RED) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
def test_tiffs_come_upright_whatever_their_compression(
    tmp_path: Path, bench: Bench, compression: str, orientation: int
) -> None:
    """Pillow turns TIFFs itself, in two decoders."""
    path = tmp_path / "image.tif"
    tags = {EXIF_ORIENTATION: orientation}
    quality: dict[str, Any] = {"quality": 95} if compression == "jpeg" else {}
    marked(orientation).save(path, compression=compression, tiffinfo=tags, **quality)
    assert bench.probe(path).size == (48, 32)
    assert mean_error(bench.pixels(path), array(marked(1))) < 6


def test_xmp_turns_nothing(tmp_path: Path, bench: Bench) -> None:
    """As in browsers, only EXIF and TIFF tags do."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    files: dict[str, dict[str, Any]] = {
        "a.tif": {"tiffinfo": {700: xmp}},
        "a.jpg": {"xmp": xmp},
        "a.webp": {"xmp": xmp},
    }
    for name, options in files.items():
        picture(48, 32).save(tmp_path / name, **options)
        assert bench.probe(tmp_path / name).size == (48, 32)
        assert bench.pixels(tmp_path / name).shape == (32, 48, 3)


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + b"\xff" * 60, b"nonsense"],
)
def test_damaged_exif_counts_as_none(tmp_path: Path, bench: Bench, block: bytes) -> None:
    """The image is served as it is stored."""
    for name in ("a.jpg", "a.webp"):
        picture(48, 32).save(tmp_path / name, exif=block)
        assert bench.probe(tmp_path / name).size == (48, 32)
        bench.render(tmp_path / name)


def test_real_orientations(shared_images: Path, bench: Bench) -> None:
    """Photographs of one motif, stored in several ways, come out the same."""
    landscapes = [
        bench.pixels(path, "full/180,/0/default.png")
        for path in sorted(shared_images.glob("exif-landscape-*"))
    ]
    assert len(landscapes) == 5
    for pixels in landscapes[1:]:
        # A number is painted into the middle of each.
        assert mean_error(pixels[:40], landscapes[0][:40]) < 4
    assert bench.probe(shared_images / "tiff-orientation-6.tif").size == (590, 88)
    line = bench.pixels(shared_images / "tiff-orientation-6.tif")
    assert (line[:10] == 255).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.tif", "image/tiff"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
        ("a.bmp", "image/bmp"),
        ("a.jp2", "image/jp2"),
        ("a.j2k", "image/jp2"),
        ("a.avif", "image/avif"),
    ],
)
def test_tells_the_format_by_the_bytes(tmp_path: Path, bench: Bench, name: str, media_type: str) -> None:
    """The name says nothing."""
    picture(40, 30).save(tmp_path / name)
    path = (tmp_path / name).rename(tmp_path / "image.txt")
    assert bench.probe(path).media_type == media_type
    bench.render(path, "full/!20,20/0/default.jpg")


@pytest.mark.parametrize("suffix", ["ico", "psd", "eps", "pdf", "tga", "ppm", "pcx", "icns", "sgi", "dds"])
def test_reads_no_other_format(tmp_path: Path, bench: Bench, suffix: str) -> None:
    """Whatever else Pillow could open."""
    path = tmp_path / "image"
    if suffix == "psd":
        path.write_bytes(b"8BPS\0\1" + bytes(60))
    else:
        picture(32, 32).save(path, suffix if suffix != "tga" else "TGA")
    with pytest.raises(UnreadableSource, match="format"):
        bench.probe(path)


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("1", "png", False),
        ("L", "png", False),
        ("LA", "png", False),
        ("I;16", "png", False),
        ("I", "tif", False),
        ("F", "tif", False),
        ("L", "jpg", False),
        ("RGB", "jpg", True),
        ("CMYK", "jpg", True),
        ("RGBA", "png", True),
        ("P", "png", True),
        ("L", "jp2", False),
        ("L", "gif", False),
    ],
)
def test_knows_colour(tmp_path: Path, bench: Bench, mode: str, suffix: str, *, expected: bool) -> None:
    """Gray is what has one channel, or a palette of grays."""
    image = picture(40, 30).convert("L").convert("I") if mode == "I;16" else picture(40, 30)
    image.convert(mode).save(tmp_path / f"a.{suffix}")
    assert bench.probe(tmp_path / f"a.{suffix}").has_color is expected


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """No directory, pipe, socket, device or symlink, and no waiting for a pipe's writer."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "target").write_bytes(jpeg(picture(8, 8)))
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in ("pipe", "directory", "link", "socket", "missing", "/dev/zero", "x" * 5000, "nul\0"):
            with pytest.raises(ImageNotFound) as found:
                open_source(SourceFile(str(tmp_path / path), "1"), SourceLimits())
            assert str(tmp_path) not in found.value.public


def test_sizes_are_limited(tmp_path: Path) -> None:
    """Bytes, pixels and emptiness."""
    path = tmp_path / "a.png"
    picture(40, 30).save(path)
    open_source(SourceFile(str(path), "1"), SourceLimits(max_pixels=1200))[1].close()
    for limits in (
        SourceLimits(max_bytes=path.stat().st_size - 1),
        SourceLimits(max_pixels=1199),
        SourceLimits(max_pixels=100),
    ):
        with pytest.raises(SourceTooLarge):
            open_source(SourceFile(str(path), "1"), limits)
    path.write_bytes(b"")
    with pytest.raises(UnreadableSource, match="empty"):
        open_source(SourceFile(str(path), "1"), SourceLimits())


def test_a_header_may_lie_about_its_size(tmp_path: Path, bench: Bench) -> None:
    """A PNG that promises a gigapixel is refused before anything is decoded."""
    picture(40, 30).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(SourceTooLarge):
        bench.probe(tmp_path / "a.png")


def test_pillow_keeps_its_own_settings(tmp_path: Path, bench: Bench) -> None:
    """The limits hold while a source is read, and change nothing for others in the process."""
    before = Image.MAX_IMAGE_PIXELS
    picture(40, 30).save(tmp_path / "a.png")
    bench.render(tmp_path / "a.png")
    with pytest.raises(IIIFServerError):
        bench.probe(tmp_path / "missing")
    assert before == Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_the_first_picture_counts(tmp_path: Path, bench: Bench, suffix: str) -> None:
    """Of an animation or of pages."""
    pages = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    pages[0].save(
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=pages[1:],
        lossless=suffix == "webp",
    )
    assert bench.pixels(tmp_path / f"a.{suffix}")[16, 16, :3].tolist() == [255, 0, 0]


def test_sources_are_closed_when_others_need_the_place(tmp_path: Path) -> None:
    """No more stay open than configured."""
    workbench = Workbench(WorkbenchSettings(open_sources=3))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(12):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(picture(16, 16)))
        workbench.probe(SourceFile(str(path), "1"))
    assert len(os.listdir("/proc/self/fd")) == before + 3
    workbench.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_new_version_is_read_anew(tmp_path: Path, bench: Bench) -> None:
    """The same path under another version is another source."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture(16, 16)))
    assert bench.probe(path).size == (16, 16)
    path.unlink()
    path.write_bytes(jpeg(picture(24, 24)))
    assert bench.probe(path).size == (16, 16)
    properties, body = bench.workbench.probe(SourceFile(str(path), "2"))
    assert (properties["width"], body) == (24, b"")


def test_create_names_the_tasks() -> None:
    """The door that the worker comes in by."""
    assert sorted(create(WorkbenchSettings())) == ["abilities", "probe", "pyramid", "render", "tiles"]


def test_tells_what_is_installed(bench: Bench) -> None:
    """Whether there is a lossless lane, and which codecs make the bytes."""
    abilities, body = bench.workbench.abilities(None)
    assert abilities["lossless"] is lossless_available()
    assert "Pillow" in abilities["codecs"]
    assert body == b""


def test_what_is_kept_makes_room_for_a_large_result_and_not_for_a_tile(tmp_path: Path) -> None:
    """The level that the result was made of is let go with the others."""
    picture(300, 300).save(tmp_path / "a.png")
    workbench = Workbench(WorkbenchSettings(decoded_bytes=400_000))
    bench = Bench(workbench)
    for request, kept in (("0,0,250,250/max/0/default.png", 360_000), ("full/^5000,/0/default.jpg", 0)):
        bench.render_any(tmp_path / "a.png", request)
        assert workbench._levels.used == kept
    workbench.close()


def test_what_is_kept_makes_room_before_more_is_decoded(tmp_path: Path) -> None:
    """Both levels would fit: one beside the other's decoding does not."""
    for name in "ab":
        picture(300, 300, noise=90).save(tmp_path / f"{name}.png")
    for budget, kept in ((800_000, 1), (2_000_000, 2)):
        workbench = Workbench(WorkbenchSettings(decoded_bytes=budget))
        bench = Bench(workbench)
        for name in "ab":
            bench.render(tmp_path / f"{name}.png", "0,0,50,50/max/0/default.png")
        assert workbench._levels.used == kept * 300 * 300 * 4
        workbench.close()

"""The chunks of PNG files."""

import io
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from iiif_server.errors import UnreadableSource
from iiif_server.imaging.png import read_layout
from iiif_server.imaging.readers.png import PngSource
from iiif_server.imaging.tasks import WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import Bench, array, exif, picture
from tests.imaging.test_colour import gray_profile

LARGE = zlib.compress(b"x" * 3_000_000)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if checksum is None else checksum
    return len(data).to_bytes(4) + kind + data + crc.to_bytes(4)


def png(*chunks: bytes, after: bytes = b"") -> bytes:
    """A PNG with chunks put before its data, and others after it."""
    out = io.BytesIO()
    picture(40, 30).save(out, "PNG")
    data = out.getvalue()
    return data[:33] + b"".join(chunks) + data[33:-12] + after + data[-12:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\0" + LARGE),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
        chunk(b"iCCP", b"a\0\0" + LARGE),
        chunk(b"iCCP", b"a\0\0garbage"),
        chunk(b"iCCP", b""),
        chunk(b"tEXt", b"a\0b", checksum=5),
        chunk(b"eXIf", exif(6), checksum=5),
        chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        chunk(b"pHYs", b"a"),
        chunk(b"sRGB", b""),
        chunk(b"cHRM", b"abc"),
        chunk(b"acTL", b"\0\0"),
    ],
)
def test_odd_metadata_is_never_fatal(tmp_path: Path, bench: Bench, extra: bytes) -> None:
    """Too large, cut short, or with a wrong checksum; before the data or after it."""
    plain = png()
    for number, data in enumerate((png(extra), png(after=extra))):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data)
        assert bench.probe(path).size == (40, 30)
        assert (bench.pixels(path) == array(plain)).all()
        assert read_layout(io.BytesIO(data)).assemble(io.BytesIO(data)) == plain


@pytest.mark.parametrize("place", ["before", "after"])
def test_orientation_counts_wherever_it_lies(tmp_path: Path, bench: Bench, place: str) -> None:
    """The standard allows EXIF after the data too."""
    block = chunk(b"eXIf", exif(6)[6:])
    (tmp_path / "a.png").write_bytes(png(block) if place == "before" else png(after=block))
    assert bench.probe(tmp_path / "a.png").size == (30, 40)
    bench.render(tmp_path / "a.png")


XMP = b"XML:com.adobe.xmp\0"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"\0\0\0\0<x/>", b"<x/>"),
        (b"\0\0en\0XMP\0<x/>\0", b"<x/>\0"),
        (b"\1\0\0\0" + zlib.compress(b"<x/>"), b"<x/>"),
        (b"\1\0\0\0" + zlib.compress(b"<x/>")[:-4], b"<x/>"),
        (b"\1\0\0\0" + LARGE, b"x" * (1 << 20)),
        (b"\1\0\0\0<x/>", b""),
        (b"\0\0", b""),
        (b"", b""),
        (b"\0\0\0\0" + b"x" * (1 << 20), b""),
    ],
    ids=["plain", "titled", "packed", "cut", "bomb", "not packed", "no text", "nothing", "large"],
)
def test_keeps_the_xmp_packet(fields: bytes, expected: bytes) -> None:
    """Before the data or after it, a MiB of it at most; what is damaged is empty."""
    block = chunk(b"iTXt", XMP + fields)
    for data in (png(chunk(b"iTXt", b"Title" + fields), block), png(after=block)):
        assert read_layout(io.BytesIO(data)).xmp == expected


def test_the_first_xmp_packet_counts() -> None:
    """However many follow, none is looked at once more."""
    good, bad = chunk(b"iTXt", XMP + b"\0\0\0\0a"), chunk(b"iTXt", XMP + b"\0\0\0\0b", checksum=5)
    assert read_layout(io.BytesIO(png(good, bad))).xmp == b"a"
    assert read_layout(io.BytesIO(png(bad, good))).xmp == b""
    assert read_layout(io.BytesIO(png())).xmp is None


@pytest.mark.parametrize("cut", [5, 12, 30, 200])
def test_a_file_cut_short(tmp_path: Path, bench: Bench, cut: int) -> None:
    """Is an image still if all of its data is there, and damaged if not."""
    (tmp_path / "a.png").write_bytes(png()[:-cut])
    try:
        bench.render(tmp_path / "a.png", "full/max/0/default.png")
    except UnreadableSource:
        assert cut > 5
    else:
        assert cut <= 12


def test_refuses_endless_chunks() -> None:
    """Millions of empty ones."""
    data = png()
    with pytest.raises(UnreadableSource, match="chunks"):
        read_layout(io.BytesIO(data[:33] + chunk(b"teSt", b"") * 2_000_001 + data[33:]))


def test_refuses_more_data_than_pixels_need(tmp_path: Path, bench: Bench) -> None:
    """A sparse giant behind a small header is not read into memory."""
    path = tmp_path / "a.png"
    path.write_bytes(png()[:33] + (2**31 - 1).to_bytes(4) + b"IDAT")
    with path.open("r+b") as file:
        file.truncate(3 * 1024**3)
    with pytest.raises(UnreadableSource, match="more data"):
        bench.probe(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_with_alpha_stays_gray(tmp_path: Path, bench: Bench, dtype: type[Any]) -> None:
    """At any depth; and a profile for gray counts."""
    shift = 8 * np.dtype(dtype).itemsize - 8
    gray, alpha = np.mgrid[0:256:4, 0:256:4]
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode((np.dstack((gray, alpha)) << shift).astype(dtype)))
    assert not bench.probe(path).has_color
    assert (bench.pixels(path) == np.dstack((gray, alpha))).all()
    plain = path.read_bytes()
    profile = chunk(b"iCCP", b"gray\0\0" + zlib.compress(gray_profile(gamma=1.0)))
    path.unlink()
    path.write_bytes(plain[:33] + profile + plain[33:])
    changed = Bench(Workbench(WorkbenchSettings())).pixels(path)
    assert (changed[..., 1] == alpha).all()
    assert (changed[32, :, 0] > gray[32, 0] + 40).all()


def large(mode: str = "RGB") -> tuple[bytes, Image.Image]:
    """A PNG that is large enough for libpng, and its picture."""
    pixels = np.random.default_rng(3).integers(0, 250, (1000, 1024, len(mode)), np.uint8)
    pixels[200:] //= 64
    image = Image.fromarray(pixels.squeeze())
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue(), image


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_large_pictures_have_the_same_pixels(
    tmp_path: Path, bench: Bench, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library decodes them; and libpng does, but for gray with alpha."""
    data, image = large(mode)
    (tmp_path / "a.png").write_bytes(data)
    if mode != "LA":
        monkeypatch.delattr(PngSource, "_by_pillow")
    assert (bench.pixels(tmp_path / "a.png") == array(image)).all()


def test_large_pictures_of_16_bits_keep_the_upper_ones(tmp_path: Path, bench: Bench) -> None:
    samples = np.random.default_rng(4).integers(0, 65536, (1000, 1024, 3), np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(samples, level=1))
    assert (bench.pixels(tmp_path / "a.png") == samples >> 8).all()


def test_pillow_has_the_last_word_on_damage(tmp_path: Path, bench: Bench) -> None:
    """A wrong checksum alone keeps nobody from the picture; missing data does."""
    data, image = large()
    end = 33 + 8 + int.from_bytes(data[33:37])  # of the first chunk of data
    (tmp_path / "wrong.png").write_bytes(data[:end] + bytes(4) + data[end + 4 :])
    (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
    assert (bench.pixels(tmp_path / "wrong.png") == array(image)).all()
    with pytest.raises(UnreadableSource):
        bench.render(tmp_path / "short.png", "full/max/0/default.png")

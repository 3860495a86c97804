"""Sources that no server should have: one of each kind, made here; and those of the shared collection."""

import functools
import gzip
import io
import os
import random
import shutil
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import tifffile

from tests.imaging.helpers import jpeg
from tests.support.paths import SHARED_IMAGES
from tests.support.pictures import drawn_picture

_PICTURE = drawn_picture(320, 240)
_GIGABYTES = 8 << 30


def stored(kind: str, **options: object) -> bytes:
    """The picture in a format of Pillow's."""
    out = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(_PICTURE).save(out)
    else:
        _PICTURE.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes) -> bytes:
    """A PNG that says it has these sides, with a few bytes of them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + pixels + chunk(b"IEND", b"")


def with_sides(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header says it has these sides."""
    at = next(data.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def with_boxes(data: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIC whose boxes say it has these sides."""
    at = data.index(b"ispe")
    return data[: at + 8] + struct.pack(">II", width, height) + data[at + 16 :]


def many_scans() -> bytes:
    """A progressive JPEG that refines its picture a thousand times."""
    data = jpeg(_PICTURE, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 1000 + b"\xff\xd9"


def tiff_with(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF whose one directory has these entries: tag, type, count and value."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + bytes(4096)


def _gray(width: int, height: int, *more: tuple[int, int, int, int], following: int = 0) -> bytes:
    """Of one strip of one byte for each pixel."""
    entries = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    replaced = {tag for tag, *_ in more}
    strip = ((273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 1000))
    kept = [entry for entry in entries + strip if entry[0] not in replaced]
    return tiff_with(*kept, *more, following=following)


def bomb_in_strips() -> bytes:
    """A deflated TIFF that is small on disk and 400 million pixels large."""
    out = io.BytesIO()
    rows = np.zeros((16, 20_000), np.uint8)
    with tifffile.TiffWriter(out) as writer:
        writer.write(rows, compression="zlib", photometric="minisblack", rowsperstrip=16)
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        at = opened.pages[0].tags["ImageLength"].valueoffset  # type: ignore[union-attr]
    data[at : at + 2] = struct.pack("<H", 20_000)
    return bytes(data)


def random_profile() -> bytes:
    """An ICC profile with the right head and nothing right behind it."""
    noise = random.Random(3).randbytes(4000)
    return (
        struct.pack(">I4sI4s4s4s", 4128, b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(104) + noise
    )


def mad_exif() -> bytes:
    """EXIF whose directories lead to themselves and whose values lie outside."""
    entries = [
        (0x8769, 4, 1, 8),
        (0x8825, 4, 1, 8),
        (274, 3, 1, 99),
        (282, 5, 2**31, 2**31),
        (271, 2, 2**32 - 1, 9),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 8)


def _third(kind: str) -> bytes:
    data = stored(kind)
    return data[: len(data) // 3]


FILES: dict[str, Callable[[], bytes]] = {
    **{
        f"cut-{kind.lower()}.jpg": functools.partial(_third, kind)
        for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "JPEG2000", "BMP", "AVIF", "HEIF")
    },
    "empty.jpg": bytes,
    "one-byte.jpg": lambda: b"\xff",
    "text.jpg": lambda: b"This is no image.\n" * 100,
    "page.png": lambda: b"<!doctype html><script>alert(1)</script>",
    "drawing.svg": lambda: (
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    ),
    "document.pdf": lambda: stored("PDF"),
    "print.eps": lambda: stored("EPS"),
    "layers.psd": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 100, 100, 8, 3) + bytes(100),
    "stars.fits": lambda: b"SIMPLE  =                    T".ljust(80) * 36,
    "packed.jpg": lambda: gzip.compress(stored("JPEG")),
    "icon.png": lambda: stored("ICO"),
    "noise.tif": lambda: b"II*\0" + random.Random(5).randbytes(20_000),
    "bomb.png": lambda: png(60_000, 60_000),
    "bomb-text.png": lambda: png(10, 10, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(32 << 20)))),
    "bomb-profile.png": lambda: png(10, 10, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(32 << 20)))),
    "bomb.jpg": lambda: with_sides(stored("JPEG"), 65_500, 65_500),
    "bomb-progressive.jpg": lambda: with_sides(jpeg(_PICTURE, progressive=True), 65_500, 65_500),
    "bomb.gif": lambda: (data := stored("GIF"))[:6] + b"\xff\xff\xff\xff" + data[10:],
    "bomb.bmp": lambda: (data := stored("BMP"))[:18] + struct.pack("<ii", 2**30, 2**30) + data[26:],
    "bomb.webp": lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2,
    "bomb.tif": lambda: _gray(2**31, 2**31),
    "bomb-strips.tif": bomb_in_strips,
    "bomb.jp2": lambda: stored("JPEG2000").replace(
        struct.pack(">II", 240, 320), struct.pack(">II", 2**31, 2**31), 1
    ),
    "bomb.avif": lambda: with_boxes(stored("AVIF"), 60_000, 60_000),
    "bomb.heic": lambda: with_boxes(stored("HEIF"), 60_000, 60_000),
    "scans.jpg": many_scans,
    "no-height.jpg": lambda: with_sides(stored("JPEG"), 320, 0),
    "long.png": lambda: png(2**31 - 1, 1),
    "high.png": lambda: png(1, 2**31 - 1),
    "circle.tif": lambda: _gray(64, 64, following=8),
    "many-strips.tif": lambda: _gray(64, 64, (273, 4, 2**31 - 1, 200), (279, 4, 2**31 - 1, 200)),
    "no-tiles.tif": lambda: _gray(64, 64, (322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 200), (325, 4, 1, 9)),
    "mad-profile.jpg": lambda: stored("JPEG", icc_profile=random_profile()),
    "mad-exif.jpg": lambda: stored("JPEG", exif=mad_exif()),
    "other.tif": lambda: stored("JPEG"),
}
READABLE = frozenset(
    {
        "mad-profile.jpg",
        "mad-exif.jpg",
        "other.tif",
        "bad-exif.jpg",
        "bad-ext-jpeg-as.jp2",
        "bad-ext-jpeg-as.png",
    }
)
"""What is wrong with these must not keep them from being served."""

UNCERTAIN = frozenset(
    {
        "cut-jpeg.jpg",
        "cut-gif.jpg",
        "cut-webp.jpg",
        "cut-jpeg2000.jpg",
        "scans.jpg",
        "circle.tif",
        "bomb-text.png",
        "bomb-profile.png",
    }
) | {path.name for path in SHARED_IMAGES.glob("bad-*")}
"""Of these, what can be read may be served."""


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # The path may be longer than a socket's may.
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)


def _sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(b"\xff\xd8\xff\xe0")
        os.truncate(path, size)

    return make


PLACES: dict[str, Callable[[Path], None]] = {
    "pipe.jpg": _pipe,
    "socket.jpg": _socket,
    "directory.jpg": Path.mkdir,
    "device.jpg": lambda path: path.symlink_to("/dev/zero"),
    "terminal.jpg": lambda path: path.symlink_to("/dev/stdin"),
    "leaving.jpg": lambda path: path.symlink_to("/etc/passwd"),
    "round.jpg": lambda path: path.symlink_to(path.name),
    "sparse-huge.jpg": _sparse(_GIGABYTES),
    "sparse.jpg": _sparse(60 << 20),
}
COLLECTED = sorted(path.name for pattern in ("bad-*", "bomb-*") for path in SHARED_IMAGES.glob(pattern))
NAMES = (*FILES, *PLACES, *COLLECTED)


def make_all(directory: Path) -> None:
    """Put one of each into a directory."""
    for name, content in FILES.items():
        (directory / name).write_bytes(content())
    for name, make in PLACES.items():
        make(directory / name)
    for name in COLLECTED:
        shutil.copyfile(SHARED_IMAGES / name, directory / name)

"""What the server adds to a rendering: each path through HTTP and a worker beside the same work by hand.

    python -m benchmarks.overhead IMAGES [--rounds 15]

IMAGES is a directory with the test collection. One worker, no caches of results. For each path the three ways
take turns, so that what else the machine does hurts all alike:

- *server*: one request over one kept connection;
- *Pillow*, *libvips*: what a script would do with the same file in this process.

"cold" opens and decodes the source anew each time (the file's time is changed, which makes it another
version); "warm" asks again for another part of a source that is open and decoded, in Pillow from an image
that is kept.
libvips needs ``pyvips`` and ``pyvips-binary``; without them its column is empty.
"""

import argparse
import http.client
import io
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image, ImageCms
from tests.support.server import ServerProcess, serve_command

try:
    import pyvips
except ImportError:
    pyvips = None  # type: ignore[assignment]
vips: ModuleType | None = pyvips

QUALITY = 85
CONFIG = """\
cache_path: {scratch}/cache
image_pool_size: 1
memory_cache_size: 0
disk_cache_size: 0
profiles:
  files:
    type: disk
    path: {scratch}/images
    rights: http://example.org/rights
    source_check_interval: 0
"""
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Case:
    """One way through the server, and the same work for a script.

    Attributes:
        name: what it shows.
        file: in the collection.
        boxes: regions to ask for in turn; ``None`` is the whole image.
        size: of the result.
        turn: degrees clockwise.
        quality: IIIF quality.
        format: of the result.
        cold: whether the source is new each time.
        profile: whether the source has a colour profile to convert from.
    """

    name: str
    file: str
    boxes: tuple[Box | None, ...]
    size: tuple[int, int]
    turn: int = 0
    quality: str = "default"
    format: str = "jpg"
    cold: bool = False
    profile: bool = False


def tiles(scale: int, tile: int = 512) -> tuple[Box, ...]:
    """Some tiles of a viewer, away from the edges."""
    step = tile * scale
    return tuple((x * step, y * step, step, step) for y in range(2) for x in range(2))


JPEG, PNG, TIFF, JP2 = (
    "photo-baseline-12mp.jpg",
    "png-rgba-paper.png",
    "tiff-painting.tif",
    "jp2-newspaper.jp2",
)
PROGRESSIVE = "photo-progressive-12mp.jpg"
PATHS = (
    Case("copy: full/max of a JPEG", JPEG, (None,), (4000, 3000)),
    Case("lossless tile of a JPEG, warm", JPEG, tiles(1), (512, 512)),
    Case("lossless tile turned by 90, warm", JPEG, tiles(1), (512, 512), turn=90),
    Case("tile at 1:2 of a JPEG, warm", JPEG, tiles(2), (512, 512)),
    Case("tile at 1:2 of a JPEG, cold", JPEG, tiles(2), (512, 512), cold=True),
    Case("odd region of a JPEG, warm", JPEG, ((101, 53, 900, 700), (301, 253, 900, 700)), (450, 350)),
    Case("thumbnail of a JPEG, cold", JPEG, (None,), (400, 300), cold=True),
    Case("thumbnail of a progressive JPEG, cold", PROGRESSIVE, (None,), (300, 400), cold=True),
    Case("full/1500, of a JPEG, cold", JPEG, (None,), (1500, 1125), cold=True),
    Case("full/1500, gray PNG, cold", JPEG, (None,), (1500, 1125), quality="gray", format="png", cold=True),
    Case("full/1500, WebP, cold", JPEG, (None,), (1500, 1125), format="webp", cold=True),
    Case("part of a PNG with alpha, warm", PNG, ((100, 50, 600, 500), (200, 150, 600, 500)), (300, 250)),
    Case("tile at 1:1 of a pyramidal TIFF", TIFF, tiles(1), (512, 512), profile=True),
    Case("tile at 1:4 of a pyramidal TIFF", TIFF, tiles(4)[:1], (512, 512), profile=True),
    Case("thumbnail of a pyramidal TIFF, cold", TIFF, (None,), (400, 300), cold=True, profile=True),
    Case("thumbnail of a JPEG 2000, cold", JP2, (None,), (400, 589), cold=True),
)


class Server:
    """The server, asked over one connection."""

    def __init__(self, images: Path, scratch: Path) -> None:
        (scratch / "images").mkdir()
        for name in {path.file for path in PATHS}:
            shutil.copy(images / name, scratch / "images" / name)
            (scratch / "images" / name).chmod(0o644)
        config = scratch / "config.yaml"
        config.write_text(CONFIG.format(scratch=scratch))
        self.images = scratch / "images"
        self.process = ServerProcess(serve_command("--config", str(config)), scratch / "server")
        self.process.wait_until_ready()
        self._connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=60)
        self._clock = itertools.count(1_600_000_000)

    def renew(self, name: str) -> None:
        """Make the source another version of itself."""
        moment = next(self._clock)
        os.utime(self.images / name, (moment, moment))

    def ask(self, path: Case, box: Box | None) -> bytes:
        """One image."""
        region = "full" if box is None else ",".join(map(str, box))
        size = f"{path.size[0]},{path.size[1]}"
        url = f"/files:{path.file}/{region}/{size}/{path.turn}/{path.quality}.{path.format}"
        self._connection.request("GET", url)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{url}: {response.status} {body[:200]!r}")
        return body


def by_pillow(images: Path, path: Case, box: Box | None, kept: dict[str, Image.Image]) -> bytes:
    """What a script with Pillow does; it shrinks as it decodes where only Pillow's own call is needed."""
    if path.cold or path.file not in kept:
        image: Image.Image = Image.open(images / path.file)
        if path.cold and box is None:
            image.draft(None, path.size)
        image.load()
        kept[path.file] = image
    image = kept[path.file]
    if box is not None:
        image = image.crop((box[0], box[1], box[0] + box[2], box[1] + box[3]))
    if image.size != path.size:
        image = image.resize(path.size, Image.Resampling.LANCZOS)
    if path.profile:
        image = in_srgb(image)
    if path.turn:
        image = image.transpose(Image.Transpose.ROTATE_270)
    if path.quality == "gray":
        image = image.convert("L")
    out = io.BytesIO()
    if path.format == "jpg":
        image.convert("L" if image.mode == "L" else "RGB").save(out, "JPEG", quality=QUALITY)
    else:
        options: dict[str, Any] = {"compress_level": 3} if path.format == "png" else {"quality": 80}
        image.save(out, path.format, **options)
    return out.getvalue()


def in_srgb(image: Image.Image) -> Image.Image:
    """From the embedded profile; the transform is made anew, as a script would."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    assert converted is not None
    return converted


def by_vips(images: Path, path: Case, box: Box | None) -> bytes | None:
    """What a script with libvips does."""
    if vips is None or path.file == JP2:
        return None
    file = str(images / path.file)
    if box is None and path.size[0] < 4000:
        image = vips.Image.thumbnail(file, path.size[0], height=path.size[1], size="force")
    else:
        image = vips.Image.new_from_file(file, access="sequential" if path.cold else "random")
        if box is not None:
            image = image.crop(*box)
            image = image.resize(path.size[0] / box[2], vscale=path.size[1] / box[3])
    if path.profile:
        image = image.icc_transform("srgb", embedded=True, intent="relative")
    if path.turn:
        image = image.rot90()
    if path.quality == "gray":
        image = image.colourspace("b-w")
    if path.format == "jpg":
        image = image.flatten(background=[255] * 3) if image.hasalpha() else image
        return bytes(image.jpegsave_buffer(Q=QUALITY))
    options = {"compression": 3} if path.format == "png" else {"Q": 80}
    return bytes(image.write_to_buffer(f".{path.format}", **options))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def measure(server: Server, path: Case, rounds: int) -> tuple[float, float, float | None]:
    """Medians of the three ways, in milliseconds."""
    kept: dict[str, Image.Image] = {}
    boxes: Iterator[Box | None] = itertools.cycle(path.boxes)
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    for box in itertools.islice(boxes, rounds + len(path.boxes)):
        if path.cold:
            server.renew(path.file)
        times[0].append(timed(lambda box=box: server.ask(path, box)))  # type: ignore[misc]
        times[1].append(timed(lambda box=box: by_pillow(server.images, path, box, kept)))  # type: ignore[misc]
        if vips is not None and path.file != JP2:
            times[2].append(timed(lambda box=box: by_vips(server.images, path, box)))  # type: ignore[misc]
    warm_up = len(path.boxes)
    server_, pillow, libvips = (statistics.median(column[warm_up:]) if column else None for column in times)
    assert server_ is not None
    assert pillow is not None
    return server_, pillow, libvips


def main() -> None:
    """Measure every path, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(arguments.images, Path(directory))
        try:
            print("| path | server ms | Pillow ms | libvips ms | server/best | server - Pillow ms |")
            print("|---|---:|---:|---:|---:|---:|")
            for path in PATHS:
                ours, pillow, libvips = measure(server, path, arguments.rounds)
                best = min(pillow, libvips) if libvips is not None else pillow
                other = f"{libvips:.1f}" if libvips is not None else ""
                print(
                    f"| {path.name} | {ours:.1f} | {pillow:.1f} | {other} | {ours / best:.2f} "
                    f"| {ours - pillow:+.1f} |",
                    flush=True,
                )
        finally:
            server.process.end()


if __name__ == "__main__":
    main()

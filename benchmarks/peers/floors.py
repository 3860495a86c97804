"""What nobody can undercut: servers that do nothing but HTTP, and libraries without any HTTP."""

import io
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import aiohttp
from benchmarks.peers.install import debian_version
from benchmarks.peers.running import Running
from benchmarks.peers.servers import HERE, NGINX, Server, start_nginx
from PIL import Image, features
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

try:
    import pyvips
except ImportError:
    pyvips = None
vips: ModuleType | None = pyvips

QUALITY = 75
Image.MAX_IMAGE_PIXELS = None  # the sources are our own
STATIC = "location / {{ root {scratch}; try_files /body =404; }}"


def bare(processes: int) -> Server:
    """An aiohttp handler with a constant body, in processes that share a port."""

    def start(running: Running) -> None:
        for _ in range(processes):
            running.spawn(sys.executable, str(HERE / "bare.py"), str(running.port), str(running.body))

    return Server(
        f"aiohttp-{processes}",
        f"a bare handler with a constant body as large as our mean answer, {processes} "
        f"process{'es by SO_REUSEPORT' if processes > 1 else ''}",
        start,
        told_version=lambda _: aiohttp.__version__,
    )


def _start_static(running: Running) -> None:
    (running.scratch / "body").write_bytes(b"x" * running.body)
    start_nginx(running, STATIC.format(scratch=running.scratch))


FLOORS = (
    bare(1),
    bare(2),
    Server(
        "nginx-file",
        "a static file as large as our mean answer, one worker process",
        _start_static,
        prepare=lambda _: None if NGINX else "nginx is not installed",
        told_version=lambda _: debian_version("nginx"),
    ),
)


def pillow_thumbnail(path: Path, width: int) -> bytes:
    """As a script does who knows Pillow: by the smallest stored or decodable size that suffices."""
    with Image.open(path) as image:
        height = round(image.height * width / image.width)
        if image.format == "TIFF":
            for page in reversed(range(getattr(image, "n_frames", 1))):
                image.seek(page)
                if image.width >= width:
                    break
        elif isinstance(image, Jpeg2KImageFile):
            # The attribute is read when the pixels are; it halves the image so often.
            image.reduce = max(0, (image.width // width).bit_length() - 1)
        else:
            image.draft("RGB", (width, height))
        out = io.BytesIO()
        resized = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        resized.save(out, "JPEG", quality=QUALITY)
        return out.getvalue()


def libvips_thumbnail(path: Path, width: int) -> bytes:
    """As ``vipsthumbnail`` does."""
    assert vips is not None
    return bytes(vips.Image.thumbnail(str(path), width).jpegsave_buffer(Q=QUALITY))


def libraries(file: str) -> dict[str, Callable[[Path, int], bytes]]:
    """Those that read such a file, by name; the wheels of libvips read no JPEG 2000."""
    found: dict[str, Callable[[Path, int], bytes]] = {"Pillow": pillow_thumbnail}
    if vips is not None and not file.endswith(".jp2"):
        vips.cache_set_max(0)
        found["libvips"] = libvips_thumbnail
    return found


def library_versions() -> dict[str, str]:
    """Of the libraries above."""
    found = {"Pillow": f"{version('Pillow')}, libjpeg-turbo {features.version('libjpeg_turbo')}"}
    if vips is not None:
        found["libvips"] = ".".join(str(vips.version(part)) for part in range(3))
    return found


def timed(work: Callable[[Path, int], bytes], path: Path, width: int) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    work(path, width)
    return (time.perf_counter() - started) * 1000

"""The server under test, its sources, and caches so small that they are always full."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from tests.chaos import full_disk
from tests.support.pictures import drawn_picture
from tests.support.pyramids import KINDS, write_pyramid
from tests.support.server import ServerProcess, serve_command

from iiif_server.testing import draw_image

WORKERS = 2
TASK_SECONDS = 10
HEAD_SECONDS = 10
FAULT_FLAG = "fault"

CONFIG = """\
base_url: https://images.example.org
cache_path: {cache}
default_profile: files
head_timeout: {head_seconds}
image_cache_bytes_per_process: 48 MiB
image_pool_size: {workers}
image_timeout: {task_seconds}
memory_cache_size: {memory}
disk_cache_size: {disk}
pyramid_cache_size: {pyramids}
log_level: WARNING
profiles:
  files:
    type: disk
    path: {images}
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    pyramids: {policy}
    pyramid_min_pixels: 3000000
"""


@dataclass(frozen=True)
class Budgets:
    """Of the caches: memory, derivatives on disk, pyramids on disk."""

    memory: str = "8 MiB"
    disk: str = "32 MiB"
    pyramids: str = "16 MiB"


NO_CACHES = Budgets("0", "0", "0")

_CHANNELS = ("RGB", "GBR", "BRG", "RBG", "BGR", "GRB")


def _picture(number: int, width: int, height: int) -> Image.Image:
    """One of six that are never alike, so that no image can be taken for another."""
    split = dict(zip("RGB", drawn_picture(width, height).split(), strict=True))
    return Image.merge("RGB", [split[channel] for channel in _CHANNELS[number]])


def make_sources(images: Path) -> dict[str, Image.Image]:
    """One file of each kind that is read in a way of its own; returns their pictures, before any loss."""
    images.mkdir(parents=True)
    pictures = {
        "photo.jpg": _picture(0, 2401, 1803),  # gets a pyramid
        "progressive.jpg": _picture(1, 1203, 902),
        "drawing.png": _picture(2, 1100, 823),
        "tiles.tif": _picture(3, 2051, 1537),
        "strips.tif": _picture(4, 1403, 1054),
        "scan.jp2": _picture(5, 905, 701),
        "page.webp": draw_image("page.webp", 1000, 751, file_format="WEBP", seed=3).picture,
    }
    options: dict[str, dict[str, object]] = {
        "photo.jpg": {"quality": 90},
        "progressive.jpg": {"quality": 90, "progressive": True},
        "page.webp": {"quality": 90},
    }
    for name, picture in pictures.items():
        if name == "tiles.tif":
            write_pyramid(images / name, picture, KINDS[0], 256)
        elif name == "strips.tif":
            tifffile.imwrite(
                images / name, np.asarray(picture), photometric="rgb", rowsperstrip=32, compression="zlib"
            )
        else:
            out = io.BytesIO()
            picture.save(out, Image.registered_extensions()[Path(name).suffix], **options.get(name, {}))
            (images / name).write_bytes(out.getvalue())
    return pictures


@dataclass
class Site:
    """A server and the directories of it.

    Attributes:
        scratch: of this server alone.
        images: its sources.
        server: running.
    """

    scratch: Path
    images: Path
    server: ServerProcess

    @property
    def cache(self) -> Path:
        """What the server may lose."""
        return self.scratch / "cache"

    @property
    def disk_fault(self) -> Path:
        """While this file is there, what is written to the cache fails with the error that it names."""
        return self.cache / FAULT_FLAG


def start(scratch: Path, images: Path, budgets: Budgets) -> Site:
    """Start a server of its own process, on a free port of the loopback interface."""
    (scratch / "cache").mkdir(parents=True)
    (scratch / "patch").mkdir()
    (scratch / "patch" / "sitecustomize.py").write_text(full_disk.SOURCE)
    config = scratch / "config.yaml"
    config.write_text(
        CONFIG.format(
            cache=scratch / "cache",
            images=images,
            workers=WORKERS,
            task_seconds=TASK_SECONDS,
            head_seconds=HEAD_SECONDS,
            policy="never" if budgets == NO_CACHES else "on_demand",
            **vars(budgets),
        )
    )
    path = os.pathsep.join(filter(None, (str(scratch / "patch"), os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": path, "DISK_FAULT": str(scratch / "cache" / FAULT_FLAG)}
    server = ServerProcess(serve_command("--config", str(config)), scratch / "output", env)
    try:
        server.wait_until_ready()
    except BaseException:
        server.end()
        raise
    return Site(scratch, images, server)

"""How good and how large a scaled JPEG is: ours beside a thumbnail by libvips.

    python -m benchmarks.quality IMAGES

IMAGES is a directory with the test collection. Each file is scaled to 1500 pixels of width, or to half of
its width if it has less, and written as JPEG of quality 85 with chroma of half the size. The reference is the
file decoded by another reader, upright, in sRGB, scaled by Pillow's Lanczos. Told are the peak
signal-to-noise ratio of what is in the JPEG, and of the pixels before they became JPEG. libvips is called as
``vipsthumbnail`` does, with sRGB for the result's profile, and no metadata is kept.
Needs what the tests need.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image
from tests.matrix.collection import SUBJECTS

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.tasks import (
    RenderSettings,
    RenderTask,
    SourceFile,
    SourceProperties,
    WorkbenchSettings,
)
from iiif_server.imaging.workbench import Workbench

NAMES = (
    "photo-baseline-12mp.jpg",
    "photo-progressive-12mp.jpg",
    "tiff-painting.tif",
    "jp2-newspaper.jp2",
    "heic-phone.heic",
    "photo-coffee.png",
)
WIDTH, QUALITY = 1500, 85
ANY_HEIGHT = 1_000_000

Pixels = NDArray[np.uint8]


def ours(path: Path, width: int) -> tuple[bytes, bytes]:
    """A JPEG, and a PNG of the same pixels."""
    workbench = Workbench(WorkbenchSettings())
    source = SourceFile(str(path), "1")
    size = SourceProperties.from_json(workbench.probe(source)[0]).size
    answers = []
    for name in ("jpg", "png"):
        operation = resolve(
            parse_image_parameters("full", f"{width},", "0", f"default.{name}"), size, Limits()
        )
        answers.append(
            workbench.render(RenderTask(source, operation, RenderSettings(jpeg_quality=QUALITY)))[1]
        )
    workbench.close()
    return answers[0], answers[1]


def by_libvips(path: Path, width: int) -> tuple[bytes, bytes] | None:
    """The same by libvips, if it can read the file."""
    try:
        image = pyvips.Image.thumbnail(
            str(path), width, height=ANY_HEIGHT, export_profile="srgb"
        ).copy_memory()
    except pyvips.Error:
        return None
    return image.jpegsave_buffer(Q=QUALITY, keep="none"), image.pngsave_buffer(compression=1, keep="none")


def decoded(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def decibels(pixels: Pixels, reference: Pixels) -> str:
    """Peak signal-to-noise ratio."""
    if pixels.shape != reference.shape:
        return f"{pixels.shape[1]} x {pixels.shape[0]}"
    error = np.square(pixels.astype(np.float64) - reference).mean()
    return f"{10 * np.log10(255**2 / error):.1f} dB" if error else "equal"


def row(path: Path) -> str:
    """One file's figures."""
    subject = next(subject for subject in SUBJECTS if subject.name == path.name)
    whole = subject.read(path)
    width = WIDTH if whole.shape[1] > WIDTH else whole.shape[1] // 2
    jpeg, png = ours(path, width)
    size = decoded(png).shape[1::-1]
    image = Image.fromarray(whole if whole.shape[2] > 1 else whole[..., 0])
    reference = np.asarray(image.resize((size[0], size[1]), Image.Resampling.LANCZOS))
    cells = [path.name, f"{size[0]} x {size[1]}"]
    for answers in ((jpeg, png), by_libvips(path, width)):
        if answers is None:
            cells += ["", "", ""]
        else:
            cells += [*(decibels(decoded(data), reference) for data in answers), f"{len(answers[0]):,}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, metavar="IMAGES")
    images = parser.parse_args().images
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    print(f"| file | size | ours | before JPEG | bytes | libvips {version} | before JPEG | bytes |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name in NAMES:
        print(row(images / name), flush=True)


if __name__ == "__main__":
    main()

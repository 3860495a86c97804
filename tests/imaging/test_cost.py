"""What work is estimated to take, against what worker processes take for it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from iiif_server.execution.messages import Task
from iiif_server.execution.pool import PoolSettings, WorkerPool
from iiif_server.execution.settings import IMAGE_WORK
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.cost import pyramid_memory, render_cost
from iiif_server.imaging.decoding import Decoding, JpegFacts, typical
from iiif_server.imaging.tasks import (
    PyramidTask,
    RenderSettings,
    RenderTask,
    SourceFile,
    SourceProperties,
    WorkbenchSettings,
)
from iiif_server.testing.probing import SharedProbe
from tests.support.memory import peak_memory

LARGE, SMALL = (3072, 2048), (1536, 1024)
SETTINGS = RenderSettings()
FULL, THUMBNAIL = ("full", "max", "0", "default.jpg"), ("full", "!256,256", "0", "default.jpg")
TILE, MIDDLE = (
    ("512,512,512,512", "max", "0", "default.jpg"),
    ("0,0,2048,2048", "512,512", "0", "default.jpg"),
)
LEAST, MOST, SLACK = 0.8, 2.0, 8 << 20
"""An estimate is within these bounds of what is measured; few megabytes more than that harm nobody."""

Maker = Callable[[tuple[int, int]], bytes]


def picture(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    width, height = size
    values = np.random.default_rng(1).integers(0, 24, (height, width, len(mode)), np.uint8)
    values += np.linspace(0, 200, width).astype(np.uint8)[None, :, None]
    return Image.fromarray(values.squeeze(), mode) if mode != "L" else Image.fromarray(values[..., 0])


def saved(
    name: str, mode: str = "RGB", orientation: int = 1, *, flat: bool = False, **options: object
) -> Maker:
    def make(size: tuple[int, int]) -> bytes:
        out = BytesIO()
        image = Image.new(mode, size) if flat else picture(size, mode)
        if orientation > 1:
            exif = image.getexif()
            exif[274] = orientation
            options["exif"] = exif
        image.save(out, name, **options)
        return out.getvalue()

    return make


def tiff(mode: str = "RGB", dtype: str = "uint8", **options: object) -> Maker:
    def make(size: tuple[int, int]) -> bytes:
        out = BytesIO()
        values = np.asarray(picture(size, mode)).astype(dtype)
        photometric = {"RGB": "rgb", "L": "minisblack", "CMYK": "separated"}[mode]
        tifffile.imwrite(out, values, photometric=photometric, **options)  # type: ignore[arg-type]
        return out.getvalue()

    return make


def heic(size: tuple[int, int]) -> bytes:
    out = BytesIO()
    # Otherwise to encode it takes twenty seconds.
    pillow_heif.from_pillow(picture(size)).save(out, quality=50, enc_params={"preset": "ultrafast"})
    return out.getvalue()


def gif(size: tuple[int, int]) -> bytes:
    out = BytesIO()
    # To find its colours by median cut takes three seconds.
    picture(size).quantize(method=Image.Quantize.FASTOCTREE).save(out, "GIF")
    return out.getvalue()


jpeg, png = partial(saved, "JPEG", quality=85), partial(saved, "PNG", compress_level=1)
jp2 = partial(saved, "JPEG2000", quality_mode="rates", quality_layers=[20], irreversible=True)
PLAIN_JPEG, PLAIN_JP2 = cache(jpeg()), cache(jp2())
"""Made once, for several ways."""

WAYS: dict[str, tuple[Maker, tuple[str, str, str, str]]] = {
    "JPEG, reduced": (PLAIN_JPEG, THUMBNAIL),
    "JPEG, decoded whole": (PLAIN_JPEG, ("full", "max", "0", "default.webp")),
    "JPEG, copied": (PLAIN_JPEG, FULL),
    "JPEG, pulled down": (PLAIN_JPEG, ("full", "^200,6000", "0", "default.jpg")),
    "JPEG, a sheet of tiles": (jpeg(subsampling=0), TILE),
    "JPEG, gray without decoding": (PLAIN_JPEG, ("full", "max", "0", "gray.jpg")),
    "JPEG, progressive, reduced": (jpeg(progressive=True), THUMBNAIL),
    "JPEG, turned": (jpeg(orientation=6), FULL),
    "JPEG, CMYK": (jpeg(mode="CMYK"), FULL),
    "PNG": (png(), THUMBNAIL),
    "PNG, little of a file": (saved("PNG", compress_level=9, flat=True), THUMBNAIL),
    "PNG, gray": (png(mode="L"), FULL),
    "PNG with alpha": (png(mode="RGBA"), FULL),
    "TIFF in strips": (tiff(rowsperstrip=64, compression="deflate"), FULL),
    "TIFF in one strip": (tiff(rowsperstrip=1 << 20), MIDDLE),
    "TIFF of 16 bits": (tiff(dtype="uint16", rowsperstrip=64), THUMBNAIL),
    "TIFF of floats": (tiff("L", "float32", rowsperstrip=64), THUMBNAIL),
    "TIFF, CMYK": (tiff("CMYK", rowsperstrip=64), THUMBNAIL),
    "TIFF in tiles": (tiff(tile=(256, 256)), FULL),
    "JPEG 2000": (PLAIN_JP2, FULL),
    "JPEG 2000, reduced": (PLAIN_JP2, THUMBNAIL),
    "JPEG 2000, gray": (jp2(mode="L"), FULL),
    "WebP": (saved("WEBP", method=0), THUMBNAIL),
    "GIF": (gif, THUMBNAIL),
    "BMP": (saved("BMP"), THUMBNAIL),
    "AVIF": (saved("AVIF", speed=10), THUMBNAIL),
    "HEIC": (heic, THUMBNAIL),
    "to AVIF": (PLAIN_JPEG, ("full", "pct:66", "0", "default.avif")),
    "to JPEG 2000": (PLAIN_JPEG, ("full", "pct:66", "0", "default.jp2")),
    "to PNG": (PLAIN_JPEG, ("full", "max", "0", "default.png")),
    "to TIFF": (PLAIN_JPEG, ("full", "max", "0", "default.tif")),
    "to any angle": (PLAIN_JPEG, ("full", "pct:66", "22.5", "default.png")),
}


@pytest.fixture
async def pool(iiif_probe: SharedProbe) -> AsyncIterator[WorkerPool]:
    """One worker, which keeps nothing."""
    settings = PoolSettings(
        "iiif_server.imaging.workbench:create",
        WorkbenchSettings(decoded_bytes=0),
        workers=1,
        preload=IMAGE_WORK,
        fork_server=iiif_probe.fork_server,
    )
    pool = WorkerPool(settings)
    try:
        await pool.start()
        yield pool
    finally:
        await pool.close(grace=0)


async def properties(pool: WorkerPool, file: SourceFile) -> SourceProperties:
    return SourceProperties.from_json((await pool.run(Task("probe", file, ""))).meta)


@pytest.mark.parametrize("way", WAYS)
async def test_an_estimate_is_what_a_worker_takes(pool: WorkerPool, tmp_path: Path, way: str) -> None:
    """A small picture before loads what the codec needs once."""
    make, parameters = WAYS[way]
    estimate = peak = 0
    for size in (SMALL, LARGE):
        path = tmp_path / f"{size[0]}"
        path.write_bytes(make(size))
        file = SourceFile(str(path), "1")
        seen = await properties(pool, file)
        assert seen.decoding is not None
        operation = resolve(parse_image_parameters(*parameters), seen.size, Limits(max_width=8000))
        estimate = render_cost(seen.size, seen.media_type, seen.decoding, operation, SETTINGS).memory
        peak, _ = await peak_memory(pool, Task("render", RenderTask(file, operation, SETTINGS), ""))

    assert LEAST * peak <= estimate <= MOST * peak + SLACK


@pytest.mark.parametrize("make", [PLAIN_JPEG, png()], ids=["JPEG", "PNG"])
async def test_an_estimate_is_what_a_pyramid_takes(pool: WorkerPool, tmp_path: Path, make: Maker) -> None:
    estimate = peak = 0
    for size in (SMALL, LARGE):
        path, target = tmp_path / f"{size[0]}", tmp_path / f"{size[0]}.pyramid"
        path.write_bytes(make(size))
        target.touch()
        file = SourceFile(str(path), "1")
        seen = await properties(pool, file)
        assert seen.decoding is not None
        estimate = pyramid_memory(seen.size, seen.decoding, SETTINGS)
        task = PyramidTask(file, SETTINGS, str(target), target.stat().st_ino, 1 << 30)
        peak, _ = await peak_memory(pool, Task("pyramid", task, ""))

    assert LEAST * peak <= estimate <= MOST * peak + SLACK


def cost_of(decoding: Decoding, *parameters: str, size: int = 15_800, media_type: str = "image/png") -> float:
    image = Dimensions(size, size)
    operation = resolve(parse_image_parameters(*parameters), image, Limits())
    return render_cost(image, media_type, decoding, operation, SETTINGS).seconds


def test_a_thumbnail_costs_what_its_source_costs() -> None:
    """A PNG of 250 megapixels is decoded whole for it, of a TIFF in tiles only what is wanted."""
    assert cost_of(typical("image/png"), *THUMBNAIL) > 5
    assert cost_of(Decoding(4, parts=True, reductions=(1, 2, 4, 8, 16, 32, 64)), *THUMBNAIL) < 0.1
    assert cost_of(typical("image/png"), *THUMBNAIL, size=1000) < 0.1


def test_a_large_source_in_tiles_is_not_taken_for_one_that_is_decoded_whole() -> None:
    """Whether anybody looked at it or not."""
    image = Dimensions(200_000, 100_000)
    operation = resolve(parse_image_parameters(*TILE), image, Limits())
    for decoding in (typical("image/tiff"), Decoding(4, fixed=20 << 20, parts=True, reductions=(1, 2, 4))):
        assert render_cost(image, "image/tiff", decoding, operation, SETTINGS).memory < 40 << 20


def test_what_a_worker_keeps_is_the_level_that_tiles_are_cut_from() -> None:
    image = Dimensions(4000, 3000)
    tile, part = (
        render_cost(
            image, "image/png", decoding, resolve(parse_image_parameters(*TILE), image, Limits()), SETTINGS
        )
        for decoding in (Decoding(4), Decoding(4, parts=True))
    )
    assert tile.kept == 4000 * 3000 * 4
    assert part.kept == 0


def test_a_jpeg_in_strips_takes_little() -> None:
    """A tile, a part, and the pyramid; not where the full scale has to be decoded all the same."""
    image, coefficients = Dimensions(12_000, 9_000), 324_000_000
    in_strips, at_once = (
        Decoding(
            4,
            file=29_000_000,
            coefficients=coefficients,
            reductions=(1, 2, 4, 8),
            jpeg=JpegFacts(Dimensions(16, 16), gray=False, portable=True, croppable=True, in_strips=each),
        )
        for each in (True, False)
    )
    for parameters in (TILE, ("512,512,512,700", "max", "0", "default.jpg")):
        operation = resolve(parse_image_parameters(*parameters), image, Limits())
        little, much = (
            render_cost(image, "image/jpeg", each, operation, SETTINGS).memory
            for each in (in_strips, at_once)
        )
        assert little < 140 << 20
        assert much > coefficients
    assert pyramid_memory(image, in_strips, SETTINGS) < 400 << 20
    assert pyramid_memory(image, at_once, SETTINGS) > coefficients + image.width * image.height
    whole = image.width * image.height * 4
    assert pyramid_memory(image, in_strips, RenderSettings(lossless=False)) > whole
    turned = replace(in_strips, turn=in_strips.turn._replace(flip_x=True))
    odd = Dimensions(12_001, 9_000)  # no tile begins on a unit
    assert pyramid_memory(odd, turned, SETTINGS) > whole


def test_decoding_goes_through_json() -> None:
    seen = Decoding(4.5, 7, 8, 9, 4, typical(None).turn._replace(flip_x=True), (1, 2), parts=True)
    assert Decoding.from_json(seen.to_json()) == seen

"""A pyramid holds what requests for its tiles are answered with, and is an ordinary TIFF besides."""

import os
from io import BytesIO

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from iiif_server.errors import RenderFailed, UnreadableSource
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.pyramids.build import BuildCancelled, PyramidTooLarge
from iiif_server.imaging.pyramids.index import tile_request, tiles_of
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import array, exif, picture
from tests.imaging.pyramids.helpers import Opened, build, task_for

SIZE = (1301, 903)
GRAY_BACKGROUND = RenderSettings(background=(40, 90, 160), jpeg_quality=92)


def as_jpeg(image, **options):
    return lambda path: image.save(path, "JPEG", **{"quality": 92, **options})


def turned_jpeg(path):
    picture(*SIZE).save(path, "JPEG", quality=92, subsampling=0, exif=exif(6))


def deep_png(path):
    deep = np.asarray(picture(*SIZE, bands=1)).astype(np.uint16) * 257
    Image.fromarray(deep).save(path, "PNG")


def profiled_jpeg(path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture(*SIZE).save(path, "JPEG", quality=92, icc_profile=profile)


def striped_tiff(path):
    tifffile.imwrite(path, np.asarray(picture(*SIZE)), rowsperstrip=16, photometric="rgb")


SOURCES = {
    "420": as_jpeg(picture(*SIZE)),
    "422": as_jpeg(picture(*SIZE), subsampling=1),
    "444": as_jpeg(picture(*SIZE), subsampling=0),
    "progressive": as_jpeg(picture(*SIZE), progressive=True),
    "gray": as_jpeg(picture(*SIZE, bands=1)),
    "cmyk": as_jpeg(picture(*SIZE).convert("CMYK")),
    "turned": turned_jpeg,
    "png": lambda path: picture(*SIZE).save(path, "PNG"),
    "profile": profiled_jpeg,
    "alpha": lambda path: picture(*SIZE, bands=4).save(path, "PNG"),
    "deep": deep_png,
    "palette": lambda path: picture(*SIZE).quantize(32).save(path, "PNG"),
    "webp": lambda path: picture(*SIZE).save(path, "WEBP", quality=80),
    "jp2": lambda path: picture(*SIZE).save(path, "JPEG2000"),
    "strips": striped_tiff,
}


@pytest.fixture
def workbench():
    made = Workbench(WorkbenchSettings())
    yield made
    made.close()


@pytest.mark.parametrize("settings", [RenderSettings(lossless=False), GRAY_BACKGROUND], ids=["pixels", "any"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_tile_is_what_the_source_gives(kind, settings, workbench, tmp_path):
    """Byte for byte, whatever the source is: where a tile comes from can't be told."""
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    SOURCES[kind](source)
    meta = build(workbench, source, target, settings)
    image = Dimensions(*(SIZE if kind != "turned" else SIZE[::-1]))
    file = SourceFile(str(source), "2")

    with Opened(target) as opened:
        assert opened.index.image == image
        assert meta["tiles"] == opened.index.tiles == 6 + 2 + 1
        for factor in opened.index.levels:
            for region in tiles_of(image, factor):
                operation = tile_request(image, region, factor)
                span = opened.index.find(operation)
                _, rendered = workbench.render(RenderTask(file, operation, settings))
                assert span is not None
                assert opened.read(span) == rendered, (factor, region)


@pytest.mark.parametrize("kind", ["420", "444", "gray", "turned", "alpha", "jp2"])
def test_other_readers_see_the_levels_of_the_ladder(kind, workbench, tmp_path):
    """Both tifffile and libvips read every level, up to its very edge, and it looks like the picture."""
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    SOURCES[kind](source)
    build(workbench, source, target, RenderSettings())
    upright = picture(*SIZE, bands=1 if kind == "gray" else 3)
    if kind == "turned":
        upright = upright.transpose(Image.Transpose.ROTATE_270)
    if kind == "alpha":
        upright = Image.composite(
            upright, Image.new("RGB", SIZE, "white"), picture(*SIZE, bands=4).getchannel("A")
        )
    image = Dimensions(*upright.size)

    with tifffile.TiffFile(target) as tiff:
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
        assert [page.shape[:2] for page in pages] == [level_size(image, factor)[::-1] for factor in (1, 2, 4)]
        assert [page.is_reduced for page in pages] == [False, True, True]
        assert {(page.tilewidth, page.tilelength) for page in pages} == {(512, 512)}
    for number, factor in enumerate((1, 2, 4)):
        wanted = array(upright.resize(level_size(image, factor), Image.Resampling.LANCZOS))
        levels = {
            "libvips": pyvips.Image.new_from_buffer(target.read_bytes(), "", page=number).numpy(),
            "tifffile": tifffile.imread(target, key=number),
        }
        for name, level in levels.items():
            off = np.abs(level.astype(np.int64).reshape(wanted.shape) - wanted)
            assert off.mean() < 4, (name, factor)
            assert off[-1].mean() < 12, (name, factor)
            assert off[:, -1].mean() < 12, (name, factor)


def test_a_source_in_tiles_is_left_out(workbench, tmp_path):
    source, target = tmp_path / "source.tif", tmp_path / "pyramid.tif"
    tifffile.imwrite(source, np.asarray(picture(*SIZE)), tile=(256, 256), photometric="rgb")
    meta, _ = workbench.pyramid(task_for(source, target, RenderSettings()))

    assert "tiles" in meta["left_out"]
    assert target.read_bytes() == b""


def test_a_damaged_source_gives_no_pyramid(workbench, tmp_path):
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    data = BytesIO()
    picture(*SIZE).save(data, "PNG")
    source.write_bytes(data.getvalue()[:-2000])

    with pytest.raises(UnreadableSource):
        workbench.pyramid(task_for(source, target, RenderSettings()))


def test_what_takes_too_much_room_ends(workbench, tmp_path):
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    SOURCES["420"](source)

    with pytest.raises(PyramidTooLarge):
        workbench.pyramid(task_for(source, target, RenderSettings(), max_bytes=10_000))


def test_a_full_disk_is_told_without_a_path(workbench, tmp_path):
    source = tmp_path / "source"
    SOURCES["420"](source)
    task = task_for(source, tmp_path / "x", RenderSettings())
    full = type(task)(task.source, task.settings, "/dev/full", os.stat("/dev/full").st_ino, task.max_bytes)

    with pytest.raises(RenderFailed) as raised:
        workbench.pyramid(full)
    assert "/" not in raised.value.public
    assert "No space left" in raised.value.log


def test_a_file_that_was_removed_ends_the_work(workbench, tmp_path, monkeypatch):
    """Before it began, and in the middle: whoever wanted the pyramid took the name away."""
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    SOURCES["420"](source)
    task = task_for(source, target, RenderSettings())
    rendered = []
    render = Workbench.render

    def render_and_remove(self, argument):
        rendered.append(argument)
        if len(rendered) == 3:
            target.unlink()
        return render(self, argument)

    monkeypatch.setattr(Workbench, "render", render_and_remove)
    with pytest.raises(BuildCancelled):
        workbench.pyramid(task)
    assert len(rendered) == 3
    with pytest.raises(BuildCancelled):
        workbench.pyramid(task)
    assert len(rendered) == 3


def test_somebody_else_s_file_is_not_touched(workbench, tmp_path):
    source, target = tmp_path / "source", tmp_path / "pyramid.tif"
    SOURCES["420"](source)
    task = task_for(source, target, RenderSettings())
    target.rename(tmp_path / "aside")
    target.write_bytes(b"another's")

    with pytest.raises(BuildCancelled):
        workbench.pyramid(task)
    assert target.read_bytes() == b"another's"

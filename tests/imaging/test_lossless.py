"""JPEG to JPEG without decoding: what is equal to what, and what the library is kept from."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageCms

from iiif_server.iiif.geometry import Rectangle
from iiif_server.imaging import lossless
from iiif_server.imaging.orientation import Symmetry, from_exif
from iiif_server.imaging.steps import turned
from iiif_server.imaging.tasks import WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import PIXELS_ONLY, Bench, array, exif, jpeg, luma, mean_error, picture

needs_jpegtran = pytest.mark.skipif(
    not lossless.lossless_available(), reason="jpegtran-cffi is not installed"
)

WIDTH, HEIGHT = 272, 208
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@pytest.fixture(params=SUBSAMPLINGS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A JPEG of whole blocks, with metadata."""
    path = tmp_path / "source.jpg"
    data = jpeg(
        picture(WIDTH, HEIGHT), subsampling=SUBSAMPLINGS[request.param], comment=b"secret", exif=exif(1)
    )
    path.write_bytes(data)
    return path


@needs_jpegtran
@pytest.mark.parametrize(
    "region", ["16,32,128,96", "16,32,101,77", "256,192,16,16", "0,0,1,1", "0,16,272,192"]
)
def test_a_crop_is_the_stored_image(source: Path, bench: Bench, region: str) -> None:
    """Luma to the bit; every pixel too, except where chroma is interpolated across the cut."""
    lane, data = bench.render(source, f"{region}/max/0/default.jpg")
    assert lane == "lossless"
    x, y, width, height = map(int, region.split(","))
    whole = source.read_bytes()
    assert (luma(data) == luma(whole)[y : y + height, x : x + width]).all()
    inner = (slice(2, max(2, height - 2)), slice(2, max(2, width - 2)))
    assert (array(data)[inner] == array(whole)[y : y + height, x : x + width][inner]).all()


@needs_jpegtran
def test_tiles_cut_together_are_the_tiles_cut_alone(tmp_path: Path) -> None:
    """From any stored orientation, turned, gray; the same bytes whether the sheet could be kept or not."""
    path = tmp_path / "source.jpg"
    requests = [
        f"{x},{y},{min(512, 1040 - x)},{min(512, 1030 - y)}/max/{rotation}/{quality}.jpg"
        for x in (0, 512, 1024)
        for y in (0, 512, 1024)
        for rotation, quality in (("0", "default"), ("!90", "default"), ("180", "gray"))
    ]
    lossless_lanes = 0
    for orientation in (1, 3, 6):
        size = (1030, 1040) if orientation == 6 else (1040, 1030)
        path.write_bytes(jpeg(picture(*size), subsampling=2, exif=exif(orientation)))
        together, alone = Workbench(WorkbenchSettings()), Workbench(WorkbenchSettings(decoded_bytes=0))
        for request in requests:
            made = Bench(together).render(path, request)
            assert made == Bench(alone).render(path, request)
            lossless_lanes += made[0] == "lossless"
    assert lossless_lanes > 30


@needs_jpegtran
def test_what_cannot_be_cut_gives_nothing() -> None:
    """Damage raises nothing, and the buffers of the tiles that were made already are let go of."""
    whole = jpeg(picture(600, 600))
    parts = [Rectangle(0, 0, 512, 512), Rectangle(512, 0, 88, 512)]
    library = lossless.load_library()
    assert list(lossless.cut(library, whole, parts)) == parts
    for damaged in (b"", b"\xff\xd8", whole[:300], whole[: len(whole) // 2]):
        assert lossless.cut(library, damaged, parts) == {}
    assert lossless.cut(library, whole, [Rectangle(3, 0, 512, 512)]) == {}


@needs_jpegtran
@pytest.mark.parametrize("rotation", ["!0", "90", "!90", "180", "!180", "270", "!270"])
def test_turns_are_exact_in_the_coefficients(
    source: Path, bench: Bench, tmp_path: Path, rotation: str
) -> None:
    """From any stored orientation; decoded, they differ by one level of rounding at most."""
    plain = source.read_bytes()
    with Image.open(source) as stored:
        stored.draft("L", None)
        stored_luma = stored.convert("L")
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(jpeg_with_exif(plain, orientation))
        turn = total_turn(orientation, rotation)
        lane, data = bench.render(path, f"full/max/{rotation}/default.jpg")
        assert lane == ("copy" if turn == Symmetry() else "lossless")
        assert np.abs(luma(data) - array(turned(stored_luma, turn))).max() <= 1


@needs_jpegtran
def test_a_turn_and_its_opposite_give_the_stored_data(source: Path, bench: Bench, tmp_path: Path) -> None:
    """The coefficients are moved and nothing else: four quarter turns are none."""
    path = source
    for step in range(4):
        lane, data = bench.render(path, "full/max/90/default.jpg")
        assert lane == "lossless"
        path = tmp_path / f"{step}.jpg"
        path.write_bytes(data)
    assert (array(path.read_bytes()) == array(source.read_bytes())).all()
    # The library writes the standard tables; so does a turn of what it wrote.
    once = bench.render(source, "full/max/0/gray.jpg")[1]
    assert (luma(bench.render(path, "full/max/0/gray.jpg")[1]) == luma(once)).all()


@needs_jpegtran
def test_gray_is_the_stored_luma(source: Path, bench: Bench) -> None:
    """Also of a crop, and of a turned crop."""
    whole = luma(source.read_bytes())
    lane, data = bench.render(source, "full/max/0/gray.jpg")
    assert lane == "lossless"
    assert Image.open(io.BytesIO(data)).mode == "L"
    assert (luma(data) == whole).all()
    lane, data = bench.render(source, "16,16,64,48/max/180/gray.jpg")
    assert lane == "lossless"
    assert np.abs(luma(data) - whole[16:64, 16:80][::-1, ::-1]).max() <= 1


@needs_jpegtran
def test_crops_follow_the_stored_orientation(tmp_path: Path, bench: Bench) -> None:
    """Every tile of every orientation, in the lane it can take, is that part of the upright image."""
    plain = jpeg(picture(200, 152), subsampling=2)
    lanes = set()
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(jpeg_with_exif(plain, orientation))
        with Image.open(io.BytesIO(plain)) as stored:
            upright = array(turned(stored.convert("RGB"), from_exif(orientation)))
        height, width, _ = upright.shape
        for y in range(0, height, 64):
            for x in range(0, width, 64):
                region = f"{x},{y},{min(64, width - x)},{min(64, height - y)}"
                lane, data = bench.render(path, f"{region}/max/0/default.jpg")
                lanes.add(lane)
                part = upright[y : y + 64, x : x + 64]
                assert mean_error(array(data), part) < (1 if lane == "lossless" else 6)
    assert lanes == {"lossless", "pixels"}


def test_a_copy_keeps_the_stored_data(source: Path, bench: Bench) -> None:
    """From the first table on, byte for byte; the metadata is gone."""
    stored = source.read_bytes()
    lane, data = bench.render(source)
    assert lane == "copy"
    assert data[data.index(b"\xff\xdb") :] == stored[stored.index(b"\xff\xdb") :]
    assert b"secret" not in data
    assert b"Exif" not in data


def test_copies_of_real_photographs(shared_images: Path, bench: Bench) -> None:
    """The same, for what cameras write."""
    for name in ("photo-progressive-12mp.jpg", "medical-retina.jpg", "exif-portrait-1.jpg"):
        stored = (shared_images / name).read_bytes()
        lane, data = bench.render(shared_images / name)
        assert lane == "copy"
        assert stored.endswith(data[data.rindex(b"\xff\xda") :]) or data[data.rindex(b"\xff\xda") :] in stored
        assert b"Exif\0\0" not in data
    lane, data = bench.render(shared_images / "jpeg-mpo.mpo")
    assert lane == "copy"
    assert data.count(b"\xff\xd8\xff") == 1


@needs_jpegtran
def test_no_metadata_comes_through(tmp_path: Path, bench: Bench) -> None:
    """Nor a thumbnail, nor a profile."""
    path = tmp_path / "a.jpg"
    srgb = profile_of_srgb()
    path.write_bytes(jpeg(picture(256, 256), exif=exif(6), comment=b"secret", icc_profile=srgb))
    for request in (
        "full/max/0/default.jpg",
        "full/max/0/gray.jpg",
        "0,0,128,128/max/0/default.jpg",
        "0,0,100,99/50,/0/default.jpg",
        "full/max/0/default.png",
    ):
        _, data = bench.render(path, request)
        for trace in (b"secret", b"Exif", b"ICC_PROFILE", b"iCCP", b"eXIf", b"tEXt"):
            assert trace not in data


def test_other_colours_are_never_copied(shared_images: Path, tmp_path: Path, bench: Bench) -> None:
    """Without its profile the data would mean something else; RGB and CMYK data most viewers misread."""
    (tmp_path / "rgb.jpg").write_bytes(jpeg(picture(64, 64), keep_rgb=True))
    paths = [shared_images / name for name in ("jpeg-icc-p3.jpg", "jpeg-cmyk-icc.jpg", "jpeg-cmyk-noicc.jpg")]
    for path in (*paths, tmp_path / "rgb.jpg"):
        assert bench.render(path)[0] == "pixels"


@needs_jpegtran
def test_both_lanes_show_the_same(source: Path, bench: Bench) -> None:
    """An operator who installs the library later sees no shift."""
    for request in ("16,32,128,96/max/0/default.jpg", "full/max/!90/default.jpg", "full/max/0/gray.jpg"):
        lane, data = bench.render(source, request)
        other, pixels = bench.render(source, request, PIXELS_ONLY)
        assert (lane, other) == ("lossless", "pixels")
        assert mean_error(array(data), array(pixels)) < 6


@needs_jpegtran
def test_sampling_that_the_library_refuses_is_rendered(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises, the answer is made from pixels."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture(64, 64)))

    class Refusing:
        def __init__(self, data: bytes) -> None:
            raise Exception("Transformation failed")  # noqa: TRY002

    monkeypatch.setattr(bench.workbench, "_library", SimpleNamespace(Transformation=Refusing))
    assert bench.render(path, "full/max/90/default.jpg")[0] == "pixels"
    monkeypatch.setattr(bench.workbench, "_library", None)
    assert bench.render(path, "full/max/90/default.jpg")[0] == "pixels"


def test_importing_never_compiles(tmp_path: Path) -> None:
    """With its built part missing, the library would start a compiler; it counts as absent instead."""
    package = next(Path(sys.prefix).glob("lib/python*/site-packages/jpegtran"), None)
    if package is None:
        pytest.skip("jpegtran-cffi is not installed here")
    site = tmp_path / "site"
    shutil.copytree(package, site / "jpegtran", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cffi", "pycparser", "PIL", "pillow.libs", "lru"):
        if (package.parent / name).exists():
            (site / name).symlink_to(package.parent / name)
    for extension in package.parent.glob("_cffi_backend*"):
        (site / extension.name).symlink_to(extension)
    compiler = tmp_path / "bin" / "gcc"
    compiler.parent.mkdir()
    compiler.write_text(f"#!/bin/sh\ntouch {tmp_path}/compiled\nexit 1\n")
    compiler.chmod(0o755)
    (compiler.parent / "cc").symlink_to(compiler)
    code = "from iiif_server.imaging.lossless import lossless_available as a; print(a())"
    # By itself: beside it, where a wheel was installed, stands the library with its built part.
    (site / "iiif_server").symlink_to(Path(lossless.__file__).parents[1])
    environment = {
        "PATH": str(compiler.parent),
        "CC": str(compiler),
        "PYTHONPATH": str(site),
    }
    command = [sys.executable, "-S", "-B", "-c", code]
    before = set(site.rglob("*"))
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
    assert not (tmp_path / "compiled").exists()
    assert set(site.rglob("*")) == before


@needs_jpegtran
def test_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the import needed is undone."""
    monkeypatch.delenv("CFFI_TMPDIR", raising=False)
    lossless.lossless_available()
    assert "CFFI_TMPDIR" not in os.environ
    monkeypatch.setenv("CFFI_TMPDIR", "somewhere")
    lossless.lossless_available()
    assert os.environ["CFFI_TMPDIR"] == "somewhere"


def total_turn(orientation: int, rotation: str) -> Symmetry:
    mirror = Symmetry(flip_x=rotation.startswith("!"))
    quarter = Symmetry(transpose=True, flip_x=True)
    turn = from_exif(orientation).then(mirror)
    for _ in range(int(rotation.lstrip("!")) // 90):
        turn = turn.then(quarter)
    return turn


def jpeg_with_exif(data: bytes, orientation: int) -> bytes:
    """The same image data under another orientation."""
    block = exif(orientation)
    at = data.index(b"\xff\xdb")
    return data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block + data[at:]


def profile_of_srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

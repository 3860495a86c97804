"""Real and damaged files: an image of the right size, or a clean error; never a crash, a hang or a flood."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import pytest

from tests.imaging import untrusted
from tests.imaging.helpers import array, exif, jpeg, picture

GIGABYTE = 1024**3
LANES = {"copy", "lossless", "pixels"}
REFUSED = {"UnreadableSource", "SourceTooLarge"}


def outcomes(paths: list[Path], requests: list[str], memory: int = 2 * GIGABYTE) -> list[dict[str, Any]]:
    """Render in a process of its own, which has to come to its end."""
    order = {"memory": memory, "paths": [str(path) for path in paths], "requests": requests}
    command = [sys.executable, str(untrusted.__file__)]
    done = subprocess.run(
        command, input=json.dumps(order), check=False, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(paths) * len(requests)
    return results


def test_every_real_image(shared_images: Path) -> None:
    """The whole collection, as thumbnails."""
    paths = sorted(path for path in shared_images.iterdir() if path.suffix != ".md")
    results = outcomes(paths, ["full/!200,200/0/default.png"])
    refused = set()
    for result in results:
        assert result["outcome"] in LANES | REFUSED, result
        assert result["seconds"] < 5, result
        if result["outcome"] in REFUSED:
            refused.add(Path(result["path"]).name)
    # What every other file has to look like, tests/matrix says.
    assert all(name.startswith(("bad-", "bomb-")) for name in refused)
    assert {path.name for path in paths if path.name.startswith("bomb-")} <= refused


def test_bombs_take_neither_time_nor_memory(shared_images: Path) -> None:
    """Refused from the header, in an address space that could not hold them."""
    results = outcomes(sorted(shared_images.glob("bomb-*")), ["full/max/0/default.jpg"], memory=GIGABYTE // 2)
    assert len(results) >= 5
    for result in results:
        assert result["outcome"] in REFUSED, result
        assert result["seconds"] < 1, result


REQUESTS = [
    "full/max/0/default.jpg",
    "full/max/90/default.jpg",
    "16,16,48,32/max/!0/gray.jpg",
    "full/!30,30/0/default.jpg",
]


def mutations(whole: bytes, count: int, seed: int) -> list[bytes]:
    """The file with bytes changed, runs overwritten, parts doubled or its end cut off."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        kind = chance.randrange(4)
        at = chance.randrange(len(data))
        if kind == 1:
            del data[at:]
        elif kind == 2:
            data[at : at + 40] = chance.randbytes(40)
        elif kind == 3:
            data[at:at] = data[max(0, at - 200) : at]
        found.append(bytes(data))
    return found


@pytest.mark.parametrize("kind", ["baseline", "progressive", "restarts", "gray"])
def test_damaged_jpegs_never_crash(tmp_path: Path, kind: str) -> None:
    """In any lane: hundreds of files, damaged in headers, tables and data."""
    image = picture(96, 80, bands=1 if kind == "gray" else 3)
    kinds: dict[str, dict[str, Any]] = {
        "progressive": {"progressive": True},
        "restarts": {"restart_marker_blocks": 4},
    }
    whole = jpeg(image, exif=exif(6), subsampling=2, **kinds.get(kind, {}))
    paths = []
    for number, data in enumerate(mutations(whole, 120, seed=len(kind))):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(data)
    found = [result["outcome"] for result in outcomes(paths, REQUESTS)]
    # A mutation may make the image smaller than the region asked for.
    assert set(found) <= LANES | REFUSED | {"InvalidRequest"}
    assert {"pixels", "UnreadableSource"} <= set(found)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "gif", "jp2", "deep.jp2", "bmp", "avif"])
def test_other_damaged_files_never_crash(tmp_path: Path, suffix: str) -> None:
    """A few dozen of each format."""
    image = picture(64, 48)
    if suffix == "deep.jp2":  # decoded by another library
        (tmp_path / f"whole.{suffix}").write_bytes(imagecodecs.jpeg2k_encode(array(image).astype("u2") << 8))
    else:
        image.save(tmp_path / f"whole.{suffix}")
    paths = []
    for number, data in enumerate(mutations((tmp_path / f"whole.{suffix}").read_bytes(), 40, seed=3)):
        paths.append(tmp_path / f"{number}.{suffix}")
        paths[-1].write_bytes(data)
    found = {result["outcome"] for result in outcomes(paths, ["full/!30,30/0/default.png"])}
    assert found <= LANES | REFUSED | {"MemoryError: "}

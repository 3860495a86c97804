"""What is imported once for all workers: what most of them need, and nothing that keeps running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import json, os, sys
import iiif_server.imaging.preloading
print(json.dumps([sorted(sys.modules), os.listdir("/proc/self/task")]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not tell of threads")
@pytest.mark.parametrize("has_place", [True, False])
def test_codecs_are_loaded_and_no_thread_is_left(tmp_path: Path, has_place: bool) -> None:
    """Also without a place for the pictures of the rehearsal, which is left clean."""
    directory = tmp_path if has_place else tmp_path / "none"
    # Where there is no temporary directory at all, Python takes the working directory.
    output = subprocess.run(
        [sys.executable, "-c", LOOK],
        check=True,
        capture_output=True,
        timeout=60,
        cwd="/proc" if not has_place else None,
        env={**os.environ, "TMPDIR": str(directory), "OPENBLAS_NUM_THREADS": "1"},
    )
    modules, threads = json.loads(output.stdout)

    assert {"tifffile", "imagecodecs", "PIL.JpegImagePlugin", "PIL.PngImagePlugin"} <= set(modules)
    assert len(threads) == 1
    assert output.stderr == b""
    assert list(tmp_path.iterdir()) == []

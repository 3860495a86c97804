"""A plugin that is installed as a distribution of its own: found, configured, checked, served.

The environment that runs these has ``tests/plugins/demo`` installed (``tox -e plugins``).
"""

import importlib.metadata
import io
import json
import subprocess
import sys
import urllib.request

import pytest
from PIL import Image

from tests.support.server import serve_command

INSTALLED = any(entry.name == "demo" for entry in importlib.metadata.entry_points(group="iiif_server"))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not INSTALLED, reason="the demo plugin is not installed here: tox -e plugins"),
]

CONFIG = """\
cache_path: cache
profiles:
  drawn:
    type: demo
    rights: http://example.org/r
    shade: {shade}
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "iiif_server", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_listed_with_its_distribution():
    line = next(line for line in run("plugins").stdout.splitlines() if line.startswith("demo"))

    assert "iiif-server-demo 1.2.3" in line
    assert "profile types: demo" in line


def test_its_options_are_checked_and_described_like_ours(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(shade=300).replace("shade", "shadee", 1) + "    shade: 300\n")
    answer = run("config", "check", str(path))

    assert answer.returncode == 1
    assert f"{path}:6: profiles.drawn.shadee" in answer.stderr
    assert f"{path}:7: profiles.drawn.shade" in answer.stderr
    assert "The gray that every pixel has." in run("config", "reference").stdout


def test_it_serves(server, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(shade=77))
    process = server.command(serve_command("--config", str(path)))
    with urllib.request.urlopen(f"{process.url}/drawn:300x200/info.json", timeout=10) as response:
        document = json.load(response)
    with urllib.request.urlopen(f"{document['id']}/full/!30,30/90/default.png", timeout=10) as response:
        image = Image.open(io.BytesIO(response.read()))

    assert (document["width"], document["height"]) == (300, 200)
    assert image.size == (20, 30)
    assert image.convert("L").getextrema() == (77, 77)

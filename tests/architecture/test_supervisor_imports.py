"""What keeps the server processes starts small: nothing that a client or a source can reach."""

import json
import subprocess
import sys

LOOK = """
import json, sys
import iiif_server.cli.main, iiif_server.serving.supervisor
print(json.dumps(sorted(sys.modules)))
"""


def test_supervisor_is_free_of_web_and_codecs() -> None:
    """A fresh interpreter that imports it and the command has loaded neither aiohttp, plugins, nor codecs."""
    output = subprocess.run(
        [sys.executable, "-c", LOOK], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = set(json.loads(output.stdout))

    assert loaded.isdisjoint({"aiohttp", "uvloop", "pluggy", "PIL", "numpy", "imagecodecs", "tifffile"})
    assert loaded.isdisjoint({"pydantic", "ruamel.yaml", "prometheus_client"})
    assert "iiif_server.plugins" not in loaded

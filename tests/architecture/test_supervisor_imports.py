"""What keeps the server processes starts small: nothing that a client or a source can reach."""

import json
import subprocess
import sys

LOOK = """
import json, sys
import iiif_server.cli.main, iiif_server.serving.supervisor
print(json.dumps(sorted(sys.modules)))
"""


def loaded_modules() -> set[str]:
    """What a fresh interpreter has loaded that imports the supervisor and the command."""
    output = subprocess.run(
        [sys.executable, "-c", LOOK], check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(output.stdout))


def test_supervisor_is_free_of_web_and_codecs() -> None:
    """A fresh interpreter that imports it and the command has loaded neither aiohttp, plugins, nor codecs."""
    loaded = loaded_modules()

    assert loaded.isdisjoint({"aiohttp", "uvloop", "pluggy", "PIL", "numpy", "imagecodecs", "tifffile"})
    assert loaded.isdisjoint({"pydantic", "ruamel.yaml", "prometheus_client"})
    assert "iiif_server.plugins" not in loaded


def test_supervisor_is_free_of_what_only_others_need() -> None:
    """Idle, it is a tenth of the server: what workers, other commands and mistakes take is loaded there."""
    loaded = loaded_modules()

    assert loaded.isdisjoint({"difflib", "importlib.resources", "pickle", "faulthandler"})
    assert loaded.isdisjoint({"iiif_server.execution.forking", "iiif_server.execution.worker"})

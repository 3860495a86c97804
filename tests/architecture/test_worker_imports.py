"""A worker starts small: image work knows nothing of the web framework or the event loop."""

import json
import subprocess
import sys

import pytest

LOOK = "import json, sys; import {module}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize("module", ["iiif_server.execution.worker", "iiif_server.imaging.workbench"])
def test_worker_is_free_of_the_web(module: str) -> None:
    """A fresh interpreter that imports it has loaded neither aiohttp nor asyncio."""
    command = [sys.executable, "-c", LOOK.format(module=module)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    loaded = json.loads(output)

    assert {"aiohttp", "asyncio"}.isdisjoint(loaded)

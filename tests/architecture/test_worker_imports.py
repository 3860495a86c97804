"""A worker knows nothing of the web framework or the event loop, and the server nothing of codecs."""

import json
import subprocess
import sys

import pytest

LOOK = "import json, sys; import {module}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize(
    "module",
    ["iiif_server.execution.worker", "iiif_server.execution.forking", "iiif_server.imaging.preloading"],
)
def test_worker_is_free_of_the_web(module: str) -> None:
    """A fresh interpreter that imports it has loaded neither aiohttp nor asyncio."""
    assert {"aiohttp", "asyncio"}.isdisjoint(loaded_with(module))


def test_the_server_is_free_of_codecs() -> None:
    """What decodes runs in workers alone: the server's process copies stored tiles without it."""
    codecs = {"PIL", "numpy", "tifffile", "imagecodecs", "jpegtran", "pillow_heif"}
    assert codecs.isdisjoint(loaded_with("iiif_server.app"))


@pytest.mark.parametrize(
    "module", ["iiif_server.cli.stores", "iiif_server.cli.pyramids, iiif_server.workshop"]
)
def test_other_commands_are_free_of_the_web(module: str) -> None:
    """They start in half the time that the server takes."""
    assert "aiohttp" not in loaded_with(module)


def loaded_with(module: str) -> set[str]:
    """What a fresh interpreter has loaded that imports a module."""
    command = [sys.executable, "-c", LOOK.format(module=module)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return set(json.loads(output))

"""Peers from their registries, each into a directory of its own, once."""

import importlib.metadata
import json
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

TIMEOUT = 600
PROCESSOR = ("iiif-processor@7.0.0", "sharp")
# Its server needs pkg_resources, which newer setuptools have no more.
REFERENCE = ("iiif==1.0.10", "pillow", "setuptools<81")


def iiif_processor(installed: Path) -> str | None:
    """Install it; says why not, if it can't be."""
    if not (npm := shutil.which("npm")) or not shutil.which("node"):
        return "node or npm is not installed"

    def fill(directory: Path) -> None:
        (directory / "package.json").write_text("{}")
        _run(npm, "install", "--no-audit", "--no-fund", "--prefix", str(directory), *PROCESSOR)

    return _once(installed / "iiif-processor", fill)


def reference(installed: Path) -> str | None:
    """Install it; says why not, if it can't be."""

    def fill(directory: Path) -> None:
        venv.create(directory, with_pip=True)
        _run(str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *REFERENCE)

    return _once(installed / "iiif", fill)


def iiif_processor_version(installed: Path) -> str:
    """Its own and that of sharp, which does the image work."""
    modules = installed / "iiif-processor" / "node_modules"
    processor, sharp = (
        json.loads((modules / name / "package.json").read_text())["version"]
        for name in ("iiif-processor", "sharp")
    )
    node = _run("node", "--version").strip()
    return f"{processor}, sharp {sharp}, node {node}"


def reference_version(installed: Path) -> str:
    """Its own and that of Pillow, which does the image work."""
    paths = [str(path) for path in (installed / "iiif" / "lib").glob("python*/site-packages")]
    found = {each.name.lower(): each.version for each in importlib.metadata.distributions(path=paths)}
    return f"{found['iiif']}, Pillow {found['pillow']}"


def debian_version(package: str) -> str:
    """Of an installed package."""
    return _run("dpkg-query", "--show", "--showformat=${Version}", package)


def _once(directory: Path, fill: Callable[[Path], None]) -> str | None:
    """Fill a directory, unless that was done before; half a one is made anew."""
    done = directory / ".installed"
    if done.exists():
        return None
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        fill(directory)
    except (OSError, subprocess.SubprocessError) as error:
        return f"installing it failed: {error}"
    done.touch()
    return None


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT)
    return done.stdout

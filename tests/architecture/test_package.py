"""What is packaged says what it is."""

import hashlib
import tomllib
from configparser import ConfigParser
from importlib.metadata import version

import iiif_server
from tests.support.paths import REPOSITORY, SOURCE

OPENSEADRAGON = SOURCE / "web" / "static" / "openseadragon"


def project() -> dict[str, object]:
    """The project's table of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return table


def test_one_version() -> None:
    """The installed distribution and the package agree; the version is written down in one place."""
    assert version("iiif-server") == iiif_server.__version__
    assert project()["dynamic"] == ["version"]


def test_changelog_knows_the_version() -> None:
    """The changelog's newest section is this version or what comes after it."""
    headings = [
        line for line in (REPOSITORY / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]

    assert "unreleased" in headings[0].lower() or iiif_server.__version__ in headings[0]


def test_openseadragon_is_as_published() -> None:
    """The vendored viewer is the file that its version names, with its licence beside it."""
    stated = dict(line.split(": ") for line in (OPENSEADRAGON / "VERSION.txt").read_text().splitlines())
    script = (OPENSEADRAGON / "openseadragon.min.js").read_bytes()

    assert stated["sha256 of openseadragon.min.js"] == hashlib.sha256(script).hexdigest()
    assert stated["version"].encode() in script[:300]
    assert "Redistribution" in (OPENSEADRAGON / "LICENSE.txt").read_text()


def test_imports_are_linted_by_tox_only() -> None:
    """Who may import whom is stated once, in pyproject.toml, and checked once, by tox's lint."""
    tox = ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    users = [name for name in tox.sections() if "lint-imports" in tox[name].get("commands", "")]

    assert users == ["testenv:lint"]
    assert "lint-imports" not in (REPOSITORY / "Makefile").read_text()

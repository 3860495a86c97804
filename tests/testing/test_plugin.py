"""The pytest plugin as authors have it: cheap to load, and its fixtures work with settings of nobody's."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from iiif_server import testing
from iiif_server.errors import ConfigurationError
from iiif_server.execution.starting import can_fork
from iiif_server.testing.profiles import installed_type
from tests.support.server import workers


def loaded_by(statement):
    """Every module that a fresh interpreter has after a statement, besides what pytest itself loads."""
    code = f"import json, sys, pytest; before = set(sys.modules); {statement}; "
    code += "print(json.dumps(sorted(set(sys.modules) - before)))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60).stdout
    return set(json.loads(output))


def test_it_comes_in_by_an_entry_point():
    found = [
        entry.value
        for entry in importlib.metadata.entry_points(group="pytest11")
        if entry.name == "iiif_server"
    ]

    assert set(found) == {"iiif_server.testing.plugin"}


def test_loading_the_plugin_loads_nothing_of_the_server():
    """Whoever merely has iiif-server installed pays for three small modules."""
    assert loaded_by("import iiif_server.testing.plugin") == {
        "iiif_server",
        "iiif_server.testing",
        "iiif_server.testing.plugin",
    }


def test_every_public_name_is_there():
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing


def run_pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an author's tests where no settings of ours hold."""
    (directory / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.e2e
def test_the_fixtures_in_an_authors_own_test(tmp_path):
    """A test of another kind than the contract's: a real server process, and the application."""
    (tmp_path / "test_mine.py").write_text("""
import json, urllib.request
import pytest
from iiif_server.testing import draw_image

@pytest.fixture(autouse=True)
def image(tmp_path):
    (tmp_path / "known.tif").write_bytes(draw_image("known", 60, 40).original)

def test_a_process(iiif_process, tmp_path):
    server = iiif_process.directory(tmp_path)
    with urllib.request.urlopen(server.image_url("known.tif"), timeout=20) as response:
        assert json.load(response)["width"] == 60

@pytest.mark.asyncio
async def test_an_application(iiif_app, iiif_profile, tmp_path):
    async with iiif_app(iiif_profile("disk", path="."), gallery=True) as app:
        assert (await app.get("/disk:known.tif/info.json")).json()["height"] == 40
        assert b"known.tif" in (await app.get("/")).body

def test_that_fails(iiif_process, tmp_path):
    iiif_process.directory(tmp_path)
    assert not "what the server printed is shown"
""")
    done = run_pytest(tmp_path)

    assert "1 failed, 2 passed" in done.stdout
    assert "iiif-server is ready: http://127.0.0.1:" in done.stdout


def test_a_contract_without_its_fixtures_says_what_is_missing(tmp_path):
    (tmp_path / "test_mine.py").write_text("""
from iiif_server.testing import ProfileContract

class TestMine(ProfileContract):
    pass
""")
    done = run_pytest(tmp_path, "-k", "test_what_is_known_of_the_image or test_an_unknown_option")

    assert "TestMine has to define the fixture `known_image`" in done.stdout
    assert "TestMine has to define the fixture `profile`" in done.stdout
    assert "2 errors" in done.stdout


def test_types_are_found_as_the_server_finds_them():
    assert installed_type("disk").name == "disk"
    with pytest.raises(LookupError, match=r"registers the profile type 'none'; there are: .*disk"):
        installed_type("none")


@pytest.fixture
def setup(iiif_profile):
    return iiif_profile("disk", path="images")


async def test_a_setup_is_one_entry_of_a_configuration(setup, tmp_path):
    async with setup.live() as profile:
        assert profile.options.path == tmp_path / "images"
        assert (profile.context.source_path, profile.context.cache_path) == (
            setup.source_path,
            setup.cache_path,
        )
        assert profile.options.rights.startswith("http")
    async with setup.with_cache(tmp_path / "other").live() as profile:
        assert profile.context.cache_path == tmp_path / "other" / "profiles" / "disk"
    with pytest.raises(ConfigurationError, match=r"profiles\.disk\.pahts"):
        async with setup.with_options(pahts="x").live():
            pass


@pytest.mark.skipif(not can_fork(), reason="this system forks no workers")
async def test_workers_of_all_applications_have_one_parent(iiif_app, setup, iiif_probe):
    """What it has loaded is not loaded anew for each test; and they end with their application."""
    parents = []
    for size in (1, 2):
        before = workers()
        async with iiif_app(setup, image_pool_size=size):
            parents.append([worker.ppid() for worker in workers() - before])
        assert workers() == before

    assert parents == [parents[0], parents[0] * 2]
    assert len(parents[0]) == 1


async def test_a_live_profile_is_closed_whatever_happens(setup, monkeypatch):
    closed = []

    async def close(profile):
        closed.append(profile)

    monkeypatch.setattr("iiif_server.profiles.disk.DiskProfile.close", close, raising=False)
    with pytest.raises(RuntimeError, match="mine"):
        async with setup.live():
            raise RuntimeError("mine")

    assert len(closed) == 1

"""The core knows no ``mss``; its package alone makes it known, and takes it along when it goes."""

import os
import subprocess
import venv

import pytest

from tests.conftest import NO_CERTIFICATES
from tests.support.paths import REPOSITORY

pytestmark = pytest.mark.e2e

CONFIG = """\
profiles:
  museum:
    type: mss
    rights: http://creativecommons.org/licenses/by/4.0/
    es_hosts: [http://127.0.0.1:9]
    mss_url: http://127.0.0.1:9
"""
UNKNOWN = "profiles.museum.type: unknown profile type 'mss'"


@pytest.mark.timeout(400)
def test_installing_and_uninstalling(tmp_path):
    """In an environment that has nothing but what pip puts into it; this downloads packages."""
    venv.EnvBuilder(with_pip=True).create(tmp_path / "environment")
    commands = tmp_path / "environment" / "bin"
    (tmp_path / "config.yaml").write_text(CONFIG)

    # pip may have to ask a registry, other than all other tests.
    trusting = {name: value for name, value in os.environ.items() if (name, value) != NO_CERTIFICATES}

    def run(command, *arguments):
        done = subprocess.run(
            [commands / command, *arguments],
            cwd=tmp_path,
            env=trusting,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, done.stdout

    def pip(*arguments):
        status, said = run("pip", "--quiet", "--disable-pip-version-check", *arguments)
        assert status == 0, said

    pip("install", str(REPOSITORY))
    without = run("iiif-server", "config", "check", "config.yaml")
    assert without[0] == 1
    assert UNKNOWN in without[1]
    assert "others come with plugins" in without[1]
    assert "mss" not in run("iiif-server", "plugins")[1]

    pip("install", str(REPOSITORY / "plugins" / "iiif-server-mss"))
    assert run("iiif-server", "config", "check", "config.yaml") == (
        0,
        "config.yaml: no mistakes found. Profiles: museum (mss)\n",
    )
    assert "profile types: mss" in run("iiif-server", "plugins")[1]

    pip("uninstall", "--yes", "iiif-server-mss")
    assert run("iiif-server", "config", "check", "config.yaml") == without

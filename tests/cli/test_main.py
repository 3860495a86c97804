"""The command line as a user meets it: real processes, exit codes, and no tracebacks."""

import json
import subprocess
import sys

import pytest

CONFIG = """\
default_profile: files
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "iiif_server", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version_and_help():
    assert run("--version").stdout.startswith("iiif-server ")
    assert "serve" in run("--help").stdout


def test_plugins_lists_what_is_installed():
    answer = run("plugins")

    assert "disk" in answer.stdout
    assert "profile types: disk" in answer.stdout


def test_config_check(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(CONFIG)
    bad.write_text(CONFIG.replace("rights", "rihgts") + "image_pool_size: ten\n")

    assert run("config", "check", str(good)).returncode == 0
    answer = run("config", "check", str(bad))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "'rights'" in answer.stderr
    assert f"{bad}:5" in answer.stderr
    assert f"{bad}:6" in answer.stderr


def test_config_example_is_a_configuration(tmp_path):
    path = tmp_path / "example.yaml"
    path.write_text(run("config", "example").stdout)

    assert run("config", "check", str(path)).returncode == 0


def test_config_schema_and_reference():
    assert "profiles" in json.loads(run("config", "schema").stdout)["properties"]
    assert "`image_pool_size`" in run("config", "reference").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "/nowhere/at/all"],
        ["serve", "--config", "/nowhere/config.yaml"],
        ["serve", ".", "--config", "x.yaml"],
    ],
)
def test_serving_nothing_is_explained(arguments):
    answer = run(*arguments)

    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٣"])
def test_a_port_that_is_none(port):
    answer = run("serve", ".", "--port", port)

    assert answer.returncode == 2
    assert "is not a port" in answer.stderr or "expected one argument" in answer.stderr


@pytest.mark.parametrize("count", ["0", "-1", "65", "two", "1000000000"])
def test_a_number_of_processes_that_is_none(count):
    answer = run("serve", ".", "--processes", count)

    assert answer.returncode == 2
    assert "from 1 to 64" in answer.stderr or "expected one argument" in answer.stderr

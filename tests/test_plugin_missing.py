"""A configured profile whose plugin is missing or broken stops the start, and the plugin is named."""

import subprocess
import sys

CONFIG = "profiles:\n  herbarium:\n    type: broken\n    rights: http://example.org/r\n"


def make_distribution(directory, module_body):
    """An installed distribution as pip leaves it, in a directory of its own."""
    (directory / "iiif_broken.py").write_text(module_body)
    metadata = directory / "iiif_broken-0.9.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: iiif-broken\nVersion: 0.9\n")
    (metadata / "entry_points.txt").write_text("[iiif_server]\nbroken = iiif_broken\n")


def serve(tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [sys.executable, "-m", "iiif_server", "serve", "--config", str(config), "--port", "0"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_plugin_that_fails_to_load_stops_the_start_with_its_name(tmp_path, monkeypatch):
    make_distribution(tmp_path, "import a_library_that_is_not_there\n")
    answer = serve(tmp_path, monkeypatch)

    assert answer.returncode == 1
    assert "config.yaml:3: profiles.herbarium.type" in answer.stderr
    assert "iiif-broken 0.9" in answer.stderr
    assert "No module named 'a_library_that_is_not_there'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_plugin_that_is_not_installed_is_an_unknown_type(tmp_path, monkeypatch):
    answer = serve(tmp_path, monkeypatch)

    assert answer.returncode == 1
    assert "unknown profile type 'broken'" in answer.stderr
    assert "disk" in answer.stderr


def test_a_broken_plugin_that_nobody_needs_stops_nothing(tmp_path, monkeypatch):
    make_distribution(tmp_path, "raise RuntimeError('broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    config = tmp_path / "other.yaml"
    config.write_text(CONFIG.replace("broken", "disk"))
    command = [sys.executable, "-m", "iiif_server"]
    check = subprocess.run(
        [*command, "config", "check", str(config)], capture_output=True, text=True, timeout=60, check=False
    )
    listed = subprocess.run([*command, "plugins"], capture_output=True, text=True, timeout=60, check=False)

    assert check.returncode == 0
    assert listed.returncode == 1
    assert "failed to load: RuntimeError: broken" in listed.stdout

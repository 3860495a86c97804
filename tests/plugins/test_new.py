"""The package that ``iiif-server plugins new`` writes is installed, tested and served as it is."""

import json
import urllib.request

import pytest

pytestmark = pytest.mark.e2e


def test_a_new_package_works_at_once(workshop):
    """The three commands that are printed, as they are printed."""
    written = workshop.run("iiif-server plugins new my-store")
    install, test, serve = (line.strip() for line in written.stdout.splitlines() if line.startswith("  "))

    installed = workshop.run(install)
    assert installed.returncode == 0, installed.stdout
    tested = workshop.run(f"{test} -q -rs")
    assert tested.returncode == 0, tested.stdout
    assert "34 passed, 3 skipped" in tested.stdout
    url = workshop.serve(serve)
    with urllib.request.urlopen(f"{url}/greeting/info.json", timeout=20) as response:
        assert json.load(response)["width"] == 2400
    with urllib.request.urlopen(f"{url}/my-store:greeting/square/64,/0/default.jpg", timeout=20) as response:
        assert response.read().startswith(b"\xff\xd8")


def test_a_wheel_of_it_works_like_the_directory(workshop):
    workshop.run("iiif-server plugins new my-store")
    installed = workshop.run("pip install ./iiif-server-my-store")

    assert installed.returncode == 0, installed.stdout
    assert (
        "my-store  (iiif-server-my-store 0.1.0)  profile types: my-store"
        in workshop.run("iiif-server plugins").stdout
    )
    assert "The file of each image" in workshop.run("iiif-server config reference").stdout

"""The reference pages say what the code does: regenerate them with ``python -m tests.support.references``."""

import inspect

import pytest

import iiif_server.api
from iiif_server import hookspecs
from tests.support.references import REFERENCE, pages


@pytest.mark.parametrize("name", ["configuration.md", "commands.md", "formats.md", "plugins.md"])
def test_a_reference_page_is_fresh(name):
    assert (REFERENCE / name).read_text() == pages()[name].rstrip("\n") + "\n", (
        "run: python -m tests.support.references"
    )


def test_every_hook_has_a_test_and_the_prefix():
    hooks = [
        name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction) if name.startswith("iiif_")
    ]
    tested = (REFERENCE.parents[1] / "tests" / "test_plugins.py").read_text()

    assert hooks
    assert all(hook in tested for hook in hooks)


def test_every_name_of_the_api_is_documented():
    undocumented = [
        name
        for name in iiif_server.api.__all__
        if name != "hookimpl" and not inspect.getdoc(getattr(iiif_server.api, name))
    ]

    assert undocumented == []
    assert sorted(iiif_server.api.__all__) == iiif_server.api.__all__

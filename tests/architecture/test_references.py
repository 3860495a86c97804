"""The reference pages say what the code does: regenerate them with ``python -m tests.support.references``."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator

import pytest

import iiif_server.api
import iiif_server.testing
from tests.support.paths import REPOSITORY
from tests.support.plugin_reference import OBJECTS, fixtures, hooks
from tests.support.references import REFERENCE, pages

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (iiif_server.api, iiif_server.testing)
    for name in module.__all__
}


def names_of_tests() -> Iterator[str]:
    """The name of every test function of ours and of our plugins."""
    for directory in (REPOSITORY / "tests", *(REPOSITORY / "plugins").glob("*/tests")):
        for path in directory.rglob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name


@pytest.mark.parametrize(
    "name", ["configuration.md", "commands.md", "formats.md", "metrics.md", "plugins.md"]
)
def test_a_reference_page_is_fresh(name):
    assert (REFERENCE / name).read_text() == pages()[name].rstrip("\n") + "\n", (
        "run: python -m tests.support.references"
    )


def test_every_hook_has_a_test():
    """A test whose name begins with ``test_hook_`` and the hook's name."""
    names = list(names_of_tests())

    assert [hook for hook in hooks() if not any(name.startswith(f"test_hook_{hook}") for name in names)] == []


def test_every_hook_is_documented():
    """By a docstring, and with its exact signature in the reference."""
    reference = (REFERENCE / "plugins.md").read_text()

    assert hooks()
    assert [hook for hook, function in hooks().items() if not function.__doc__] == []
    assert set(re.findall(r"^### `(iiif_\w+)\(", reference, re.MULTILINE)) == set(hooks())


def test_every_public_name_is_documented():
    """By words of its own, not those that it inherits, and by a heading in the reference."""
    reference = (REFERENCE / "plugins.md").read_text()
    plain = [name for name, thing in PUBLIC.items() if name.rpartition(".")[2] not in OBJECTS]
    headings = set(re.findall(r"^### `(\w+)", reference, re.MULTILINE))

    assert [name for name in plain if not PUBLIC[name].__doc__] == []
    assert [name for name in PUBLIC if name.rpartition(".")[2] not in headings] == []


def test_every_member_of_a_public_class_is_documented():
    """Methods and properties by a docstring, and the fields of dataclasses by that of the class."""
    missing = []
    for name, thing in PUBLIC.items():
        if not inspect.isclass(thing):
            continue
        members = vars(thing).items()
        missing += [
            f"{name}.{member}"
            for member, value in members
            if not member.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
            and not value.__doc__
        ]
        if dataclasses.is_dataclass(thing):
            words = "\n".join(base.__doc__ or "" for base in thing.__mro__)
            fields = [field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")]
            missing += [f"{name}.{field}" for field in fields if f" {field}: " not in words]

    assert missing == []


def test_every_fixture_is_documented():
    assert [name for name, text in fixtures().items() if not text] == []
    assert set(fixtures()) >= {"iiif_app", "iiif_probe", "iiif_process", "iiif_profile"}


def test_the_public_names_are_sorted():
    for module in (iiif_server.api, iiif_server.testing):
        names = sorted(module.__all__, key=lambda name: (not name.isupper(), name))
        assert names == list(module.__all__)

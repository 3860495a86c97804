"""The reference pages say what the code does: regenerate them with ``python -m tests.support.references``."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator

import pytest

import iiif_server.api
import iiif_server.testing
from iiif_server.api import IIIFServerError, ImageNotFound
from iiif_server.testing import ProfileContract
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
            and (inspect.isfunction(value) or isinstance(value, property | classmethod))
            and not value.__doc__
        ]
        if dataclasses.is_dataclass(thing):
            words = "\n".join(base.__doc__ or "" for base in thing.__mro__)
            fields = [field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")]
            missing += [f"{name}.{field}" for field in fields if f" {field}: " not in words]

    assert missing == []


def test_what_is_no_class_has_words_of_its_own():
    """The docstring of a tuple or of an annotation is that of its type."""
    plain = [
        name for name, thing in PUBLIC.items() if not (inspect.isclass(thing) or inspect.isfunction(thing))
    ]

    assert {name.rpartition(".")[2] for name in plain} <= set(OBJECTS)


def test_the_reference_says_how_things_are_called():
    """What is awaited, what is an ``async with``, and what is called on the class."""
    lines = (REFERENCE / "plugins.md").read_text().splitlines()
    classes = [thing for thing in PUBLIC.values() if inspect.isclass(thing) and thing is not ProfileContract]
    members = [(member, value) for thing in classes for member, value in vars(thing).items()]
    awaited = [
        name for name, value in members if not name.startswith("_") and inspect.iscoroutinefunction(value)
    ]

    assert [name for name in awaited if not any(line.startswith(f"- `async {name}(") for line in lines)] == []
    assert "- `live() -> AbstractAsyncContextManager[Profile[Any]]`" in lines
    assert any(line.startswith("- `ImageInfo.of(name: str, version: str, seen:") for line in lines)
    assert any(line.startswith("- `RouteAnswer.redirect(") for line in lines)
    assert any(line.startswith("`Fetched(*, version: str | None = None") for line in lines)
    assert any(line.startswith("- `probe(path: Path, version: str, page: int = 1)") for line in lines)


def test_the_reference_says_what_an_error_is_answered_with():
    parts = re.split(r"^### ", (REFERENCE / "plugins.md").read_text(), flags=re.MULTILINE)
    by_name = {part.split("`")[1]: part for part in parts[1:]}
    errors = [
        thing for thing in PUBLIC.values() if inspect.isclass(thing) and issubclass(thing, IIIFServerError)
    ]

    assert ImageNotFound in errors
    for error in errors:
        assert f"Answered with {error.status}." in by_name[error.__name__]


def test_every_fixture_is_documented():
    assert [name for name, text in fixtures().items() if not text] == []
    assert set(fixtures()) >= {"iiif_app", "iiif_probe", "iiif_process", "iiif_profile"}


def test_the_public_names_are_sorted():
    for module in (iiif_server.api, iiif_server.testing):
        names = sorted(module.__all__, key=lambda name: (not name.isupper(), name))
        assert names == list(module.__all__)

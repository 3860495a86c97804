"""The conformance suite says of each test what it follows from, and where each section is tested."""

import ast
import re
from pathlib import Path

import pytest

import tests.conformance
from tests.support.paths import REPOSITORY

SUITE = REPOSITORY / "tests" / "conformance"
VERSIONS = {"v2": "2.1", "v3": "3.0"}
MODULES = sorted(SUITE.rglob("test_*.py"))
SECTION = r"§\d+(?:\.(?:\d+|[A-Z]))?"
REFERENCE = re.compile(rf"(?P<version>[23]\.[01]) (?:compliance )?{SECTION}(?: and {SECTION})?: \S")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_test_names_its_section(module: Path) -> None:
    """Every test has a docstring that begins with version and section, in the folder of that version."""
    tests_of_module = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    references = {node.name: REFERENCE.match(ast.get_docstring(node) or "") for node in tests_of_module}

    assert references
    assert {name: found and found["version"] for name, found in references.items()} == dict.fromkeys(
        references, VERSIONS[module.parent.name]
    )


def test_the_index_is_complete() -> None:
    """The package's docstring lists every module in the column of its version, and no other."""
    rows = [
        line.split("|") for line in (tests.conformance.__doc__ or "").splitlines() if line.startswith("|")
    ]
    indexed = {
        (folder, name)
        for row in rows[2:]
        for folder, cell in zip(("v3", "v2"), row[2:4], strict=True)
        for name in re.findall(r"\w+", cell)
    }

    assert indexed == {(module.parent.name, module.stem) for module in MODULES}

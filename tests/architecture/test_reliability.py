"""The page of promises names tests that exist, and no promise is missing."""

import ast
import re
from pathlib import Path

from tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "reliability.md"
ROW = re.compile(r"^\| (R\d+) \|.*\|$", re.MULTILINE)
TEST = re.compile(r"`([\w./-]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    """The names of a module's functions."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_promise_is_there_with_a_test() -> None:
    """R1 to R28, in order."""
    rows = list(ROW.finditer(PAGE.read_text()))

    assert [row[1] for row in rows] == [f"R{number}" for number in range(1, 29)]
    assert [row[1] for row in rows if not TEST.search(row[0])] == []


def test_every_test_that_is_named_exists() -> None:
    """Wherever it was moved or renamed, the page follows."""
    named = TEST.findall(PAGE.read_text())

    assert [
        f"{path}::{name}"
        for path, name in named
        if not (REPOSITORY / path).is_file() or name not in functions(REPOSITORY / path)
    ] == []

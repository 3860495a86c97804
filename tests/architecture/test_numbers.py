"""The numbers that the house holds: modules and functions stay small enough to read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from tests.support.paths import REPOSITORY, SOURCE

LARGEST_MODULE = 400
MEDIAN_MODULE = 120
LONGEST_FUNCTION = 60
P95_FUNCTION = 35


def modules() -> list[Path]:
    """Every module of ours; packages' one-line ``__init__`` would only flatter the median."""
    found = [*SOURCE.rglob("*.py"), *(REPOSITORY / "plugins").glob("*/src/**/*.py")]
    return [path for path in found if length(path) > 3]


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions() -> Iterator[tuple[str, int]]:
    """Place and length of every function and method."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"
                yield place, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_module_is_too_long() -> None:
    """None is over 400 lines."""
    assert [str(path.relative_to(REPOSITORY)) for path in modules() if length(path) > LARGEST_MODULE] == []


def test_most_modules_are_short() -> None:
    """The median is 120 lines at most."""
    assert median(length(path) for path in modules()) <= MEDIAN_MODULE


def test_no_function_is_too_long() -> None:
    """None is over 60 lines."""
    assert [place for place, lines in functions() if lines > LONGEST_FUNCTION] == []


def test_most_functions_are_short() -> None:
    """Of a hundred functions, 95 have 35 lines at most."""
    assert quantiles((lines for _, lines in functions()), n=20)[-1] <= P95_FUNCTION

"""The tutorial does what it says: every command is run, every file written, every output compared."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "tutorial" / "first-profile.md"
BLOCK = re.compile(
    r"(?:`(?P<path>[^`\n]+)`[^`\n]*:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
ELLIPSIS = "…"
ADDRESS = "http://127.0.0.1:8182"
NOT_HERE = ("python3 -m venv", ". iiif/bin/activate", "pip install 'iiif-server[testing]'")
"""What was done already, by whoever made the environment of this test."""

EXAMPLE = re.compile(r"^hello  \(.*\n", re.MULTILINE)
"""The example is installed in this environment, as it is not in a reader's."""


class Step(NamedTuple):
    """A file to write, or a command to run."""

    path: str
    text: str
    output: str


def steps(page: Path) -> Iterator[Step]:
    """What a page has people do."""
    for block in BLOCK.finditer(page.read_text()):
        if block["kind"] == "console":
            for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield Step("", command, output)
        elif block["path"]:
            yield Step(block["path"], block["text"], "")


def matches(expected: str, output: str) -> bool:
    """Whether an output is as it is printed on the page, where an ellipsis stands for anything."""
    parts = (re.escape(part) for part in expected.strip().split(ELLIPSIS))
    return re.fullmatch(".*".join(parts), output.strip(), re.DOTALL) is not None


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_the_tutorial_does_what_it_says(workshop):
    url = ADDRESS
    for path, text, output in steps(PAGE):
        if path:
            (workshop.directory / path).write_text(text)
        elif text.startswith("iiif-server serve"):
            url = workshop.serve(text)
        elif not text.startswith(NOT_HERE):
            done = workshop.run(text.replace(ADDRESS, url))
            said = EXAMPLE.sub("", done.stdout.replace(url, ADDRESS))

            assert matches(output, said), f"$ {text}\n{said}"

    assert (workshop.directory / "1887.12.jpg").read_bytes().startswith(b"\xff\xd8")


def test_the_page_has_what_is_looked_for():
    """So that a change of its form does not leave the tutorial untested."""
    found = list(steps(PAGE))

    assert sum(bool(step.path) for step in found) == 4
    assert sum(not step.path for step in found) > 12


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [("a\nb", "a\nb\n", True), ("a\n…\nc", "a\nb\nb\nc", True), ("a…c", "abd", False), ("", "x", False)],
)
def test_how_outputs_are_compared(expected, output, same):
    assert matches(expected, output) == same

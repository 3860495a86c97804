"""The configurations that the documentation shows can be used as they stand."""

import re
from collections.abc import Callable

import pytest

from iiif_server.config.model import Config
from iiif_server.iiif.links import PLACEHOLDERS
from tests.support.paths import REPOSITORY

DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    if page.name != "first-profile.md"  # its configuration has a slip in it: tests/plugins runs that tutorial
    for number, block in enumerate(BLOCK.findall(page.read_text()))
    if re.search("^profiles:", block, re.MULTILINE)
]


@pytest.mark.parametrize("content", SHOWN)
def test_a_configuration_that_is_shown_loads(content: str, load: Callable[..., Config]) -> None:
    assert load(content).profiles


def test_every_placeholder_is_explained() -> None:
    page = (DOCS / "how-to" / "link-info-json.md").read_text()

    assert re.findall(r"^\| `\{(\w+)\}` \|", page, re.MULTILINE) == list(PLACEHOLDERS)

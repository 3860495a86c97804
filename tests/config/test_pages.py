"""The configurations that the documentation shows can be used as they stand."""

import re
from collections.abc import Callable, Iterator

import pytest

from iiif_server.config.model import Config
from iiif_server.iiif.links import PLACEHOLDERS
from tests.support.paths import REPOSITORY

DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
REGISTERED = re.compile(r'ProfileType\("(\w+)"')


def shown() -> Iterator[tuple[str, str]]:
    """Each whole configuration; what uses a type of the page's own is tested with that type's code."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text()
        own = set(REGISTERED.findall(text))
        for number, block in enumerate(BLOCK.findall(text)):
            used = set(re.findall(r"^ {4}type: (\w+)$", block, re.MULTILINE))
            if re.search("^profiles:", block, re.MULTILINE) and not used & own:
                yield f"{page.name}-{number}", block


SHOWN = [pytest.param(block, id=name) for name, block in shown()]


@pytest.mark.parametrize("content", SHOWN)
def test_a_configuration_that_is_shown_loads(content: str, load: Callable[..., Config]) -> None:
    assert load(content).profiles


def test_every_placeholder_is_explained() -> None:
    page = (DOCS / "how-to" / "link-info-json.md").read_text()

    assert re.findall(r"^\| `\{(\w+)\}` \|", page, re.MULTILINE) == list(PLACEHOLDERS)

"""The documentation points to what there is."""

import re
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / "examples").rglob("*.md"),
        *(REPOSITORY / "plugins").glob("*/*.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page points to a file or a folder of the repository."""
    links = [first or second for first, second in LINK.findall(FENCE.sub("", page.read_text()))]
    relative = [link for link in links if not ELSEWHERE.match(link) and not link.startswith("#")]

    assert [link for link in relative if not (page.parent / link.partition("#")[0]).exists()] == []

"""Every parser of ours holds what it promises over a few inputs; ``python -m tests.fuzz`` takes its time."""

import pytest

from tests.fuzz import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_has_an_answer(name: str) -> None:
    """What comes from outside is read, or refused as the parser's words say."""
    TARGETS[name].feed(examples=60, number=len(name))

"""Every parser of ours holds what it promises over a few inputs; ``python -m tests.fuzz`` takes its time."""

import pytest
from hypothesis.strategies import integers

from tests.fuzz import TARGETS
from tests.fuzz.target import Target


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_has_an_answer(name: str) -> None:
    """What comes from outside is read, or refused as the parser's words say."""
    assert TARGETS[name].feed(examples=60, number=len(name)) >= 20


def test_an_input_without_an_answer_is_found() -> None:
    """By the smallest."""

    def odd(value: int) -> None:
        assert value < 100

    with pytest.raises(AssertionError) as caught:
        Target(odd, integers(0, 10_000)).feed(examples=60, number=1)

    assert "value=100," in "".join(caught.value.__notes__)

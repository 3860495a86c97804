"""One parser of ours, what it is fed with, and what must hold whatever that is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """A parser to be fed.

    Attributes:
        check: raises if the parser does what it must not; its name is the target's.
        inputs: what it is fed with.
    """

    check: Callable[[Any], None]
    inputs: SearchStrategy[Any]

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""
        return self.check.__name__.replace("_", "-")

    def feed(self, examples: int, number: int) -> int:
        """Try so many inputs, others for each number; the smallest that fails is shown.

        Returns:
            how many were tried: fewer where there are no more.
        """
        tried = 0

        @seed(number)
        @settings(
            max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck)
        )
        @given(self.inputs)
        def run(value: Any) -> None:
            nonlocal tried
            tried += 1
            self.check(value)

        run()
        return tried

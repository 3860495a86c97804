"""Which statuses are allowed, and when."""

import math
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """What a fault may do to requests.

    Attributes:
        statuses: allowed besides the right answer.
        of_source_only: whether that holds only for requests of the source that was hurt.
        grace: seconds after its end for which this still holds.
    """

    statuses: frozenset[int] = frozenset()
    of_source_only: bool = False
    grace: float = 5.0


_NOTHING = Rule()

RULES: dict[str, Rule] = {
    "kill a worker": _NOTHING,
    "kill all workers": _NOTHING,
    # The one task that it has, and whoever waits for that. Its end is told when it has been replaced.
    "stop a worker": Rule(frozenset({504}), grace=2),
    # A range may lie beyond the end of what is there now, and an archive tells its length first.
    "corrupt a source": Rule(frozenset({0, 404, 416, 422, 503}), of_source_only=True),
    "delete a source": Rule(frozenset({0, 404, 422, 503}), of_source_only=True),
    "full disk": _NOTHING,
    "read-only disk": _NOTHING,
    "delete the caches": _NOTHING,
    "clients that leave": Rule(
        frozenset({503})
    ),  # while what they asked for is worked on, there may be no room
    "silent sockets": _NOTHING,
    "burst": Rule(frozenset({503})),
    "reload": _NOTHING,
}
"""The kinds of faults. Where no window is open, and for what is not named, only the right answer is right.

0 is an answer that broke off, allowed of archives alone. A 503 must have Retry-After at all times.
"""


@dataclass
class Window:
    """A fault, from its beginning to its end, in seconds of the monotonic clock."""

    kind: str
    source: str | None = None
    begin: float = field(default_factory=time.monotonic)
    end: float = math.inf

    def close(self) -> None:
        """The fault is over."""
        self.end = time.monotonic()

    def concerns(self, sources: tuple[str, ...], begin: float, end: float) -> bool:
        """Whether a request of these sources, under way from begin to end, may show it."""
        rule = RULES[self.kind]
        overlaps = begin <= self.end + rule.grace and end >= self.begin
        return overlaps and (not rule.of_source_only or self.source in sources)


@dataclass
class Windows:
    """Every fault so far."""

    faults: list[Window] = field(default_factory=list)

    def open(self, kind: str, source: str | None = None) -> Window:
        """A fault begins."""
        self.faults.append(Window(kind, source))
        return self.faults[-1]

    def around(self, sources: tuple[str, ...], begin: float, end: float) -> list[Window]:
        """The faults that a request may show."""
        return [window for window in self.faults[-20:] if window.concerns(sources, begin, end)]

    def quiet(self, at: float) -> bool:
        """Whether no fault is under way, nor has just been."""
        return not any(each.begin <= at <= each.end + 5 for each in self.faults[-20:])

"""What is kept for the next tile of the same source, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from PIL import Image

T = TypeVar("T", Image.Image, Mapping[Any, bytes])


class LevelCache:
    """Decoded levels and sheets of tiles by key, the least recently used dropped first beyond the budget.

    Args:
        budget: bytes to keep; a thing beyond it is handed out and not kept.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes kept at the moment."""
        return self._used

    def holds(self, weight: int) -> bool:
        """Tell whether a thing of so many bytes would be kept."""
        return weight <= self._budget

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._used = 0

    def make_room(self, size: int) -> None:
        """Let go of as much as it takes for the rest and ``size`` bytes of work to be within the budget."""
        while self._kept and self._used > self._budget - size:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._used -= dropped

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of this key, made if it is not there. It belongs to the cache: don't change it."""
        if key in self._kept:
            self._kept.move_to_end(key)
            kept: T = self._kept[key][0]
            return kept
        made = make()
        weight = _weight(made)
        if self.holds(weight):
            self._kept[key] = made, weight
            self._used += weight
            self.make_room(0)
        return made


def _weight(thing: Image.Image | Mapping[Any, bytes]) -> int:
    """Bytes held; Pillow has one per pixel for gray, else four, also for three channels."""
    if isinstance(thing, Image.Image):
        return thing.width * thing.height * (1 if thing.mode == "L" else 4)
    return sum(map(len, thing.values()))

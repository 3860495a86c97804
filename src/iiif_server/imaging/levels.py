"""Decoded pixels kept for the next tile of the same source, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from PIL import Image


class LevelCache:
    """Images by key, the least recently used dropped first once they take more than the budget.

    Args:
        budget: bytes of pixels to keep; an image beyond it is handed out and not kept.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._images: OrderedDict[Hashable, Image.Image] = OrderedDict()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes of pixels kept at the moment."""
        return self._used

    def get(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        """The image of this key, made if it is not there. It belongs to the cache: don't change it."""
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        image = make()
        weight = _weight(image)
        if weight <= self._budget:
            self._images[key] = image
            self._used += weight
            while self._used > self._budget:
                _, dropped = self._images.popitem(last=False)
                self._used -= _weight(dropped)
        return image


def _weight(image: Image.Image) -> int:
    """Bytes that Pillow holds for an image: one per pixel for gray, else four, also for three channels."""
    return image.width * image.height * (1 if image.mode == "L" else 4)

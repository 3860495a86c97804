"""What the catalogue knows of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from iiif_server.api import Dimensions


@dataclass(frozen=True, slots=True)
class Derivative:
    """A smaller copy of an image, as a file of the store."""

    file: str
    size: Dimensions


@dataclass(frozen=True, slots=True)
class Document:
    """What the catalogue knows of an image.

    Attributes:
        name: under which it was asked for.
        irn: its number in the store; empty if there are no numbers.
        file: the original's name.
        size: in pixels, where it is known.
        derivatives: from the smallest to the largest.
    """

    name: str
    irn: str
    file: str
    size: Dimensions | None = None
    derivatives: tuple[Derivative, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with everything that decides which files are read: 16 hexadecimal digits."""
        facts = repr((self.irn, self.file, self.size, self.derivatives))
        return blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def file_for(self, size: Dimensions, hint: Dimensions | None) -> str:
        """The file to read for a size: the first derivative that is large enough, else the original.

        Args:
            size: of the full image.
            hint: at which the whole image is wanted; without it pixels are wanted as they are, and a
                derivative of another size than the image's would be measured wrongly.
        """
        for derivative in self.derivatives:
            if hint is None and derivative.size != size:
                continue
            target = hint or size
            if derivative.size.width >= target.width and derivative.size.height >= target.height:
                return derivative.file
        return self.file


def parse(name: str, data: Mapping[str, Any]) -> Document:
    """Read a decoded document.

    Raises:
        ValueError: it has no number, or no file.
    """
    irn, file = data.get("id"), data.get("file")
    if isinstance(irn, bool) or not isinstance(irn, str | int) or not str(irn):
        raise ValueError("its document has no 'id'")
    if not isinstance(file, str) or not file:
        raise ValueError("its document has no 'file'")
    return Document(name, str(irn), file, _size(data), tuple(_derivatives(data.get("derivatives"))))


def _derivatives(value: object) -> Iterator[Derivative]:
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, Mapping):
            continue
        file, size = each.get("file"), _size(each)
        if isinstance(file, str) and file and size is not None:
            yield Derivative(file, size)


def _size(data: Mapping[str, Any]) -> Dimensions | None:
    width, height = _pixels(data.get("width")), _pixels(data.get("height"))
    return None if width is None or height is None else Dimensions(width, height)


def _pixels(value: object) -> int | None:
    """A number of pixels, which some documents hold as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if number > 0 else None

"""Names for the files in an archive. Pure functions, of names that come from anywhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import count

from iiif_server.web.filenames import safe_filename, split_suffix


def entry_names(filenames: Iterable[str]) -> list[str]:
    """Names for entries of one archive: safe on every file system, and distinct on those that fold case.

    What was there before gets a number: ``a.tif``, ``a (2).tif``. No name has a directory in it.
    """
    names: list[str] = []
    taken: set[str] = set()
    for filename in filenames:
        stem, suffix = split_suffix(filename)
        numbered = (safe_filename(stem, suffix, str(number) if number > 1 else "") for number in count(1))
        name = next(name for name in numbered if _folded(name) not in taken)
        taken.add(_folded(name))
        names.append(name)
    return names


def named_after(name: str, filename: str) -> str:
    """An image's own name with the suffix of its file in lower case, once."""
    suffix = split_suffix(filename)[1].lower()
    if suffix and name.lower().endswith(suffix):
        name = name[: -len(suffix)]
    return name + suffix


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()

"""How places and values in a configuration are written in a problem, each on one short line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Location = tuple[str | int, ...]
"""A place in the configuration: the keys and list indexes that lead there."""

MAX_SHOWN = 60
MAX_LINE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, and what is wrong and how to mend it."""

    location: Location
    text: str


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """Fold all white space, make what can't be printed visible, and cut what is too long."""
    folded = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in " ".join(text.split())
    )
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def shown(value: Any) -> str:
    """A value as the person who wrote it recognises it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return one_line(f"'{value}'", MAX_SHOWN)
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return one_line(str(value), MAX_SHOWN)


def dotted(location: Location) -> str:
    """``profiles.herbarium.es_hosts[1]``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (one_line(part, MAX_SHOWN) or "''")
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was probably meant to be."""
    import difflib  # servers whose configuration is right do without it

    by_lower = {name[:MAX_SHOWN].lower(): name for name in known}
    close = difflib.get_close_matches(word[:MAX_SHOWN].lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def unknown(what: str, word: str, known: Iterable[str], kind: str) -> str:
    """Say that a word is not known, which near one is, and which ones there are."""
    names = [one_line(name, MAX_SHOWN) for name in known]
    meant = nearest(word, names)
    ending = f"; did you mean '{meant}'? {kind}: " if meant else f"; {kind}: "
    return f"{what}{ending}{', '.join(names) or 'none'}"

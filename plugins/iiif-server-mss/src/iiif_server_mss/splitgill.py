"""Documents as Splitgill writes them into Elasticsearch, and back."""

from __future__ import annotations

from typing import Any

_KEPT = "_id"


def decode(value: Any) -> Any:
    """Undo Splitgill's encoding of a JSON value.

    An object with ``_u`` stands for the value under it. Of other objects, keys that begin with ``_`` are
    Splitgill's own and dropped, but ``_id``.
    """
    match value:
        case {"_u": original}:
            return original
        case dict():
            return {
                key: decode(inner) for key, inner in value.items() if key == _KEPT or not key.startswith("_")
            }
        case list():
            return [decode(inner) for inner in value]
        case _:
            return value

"""The part of an address after the question mark."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from iiif_server.errors import InvalidRequest
from iiif_server.telemetry.lines import printable, shortened

KNOWN: Final = frozenset(
    {
        *("after", "download", "full", "identifiers", "image", "profile", "stop_on_error", "timing"),
        "use_original_filenames",
    }
)
"""The parameters that this server reads. What stands in others may be somebody's secret."""

_YES: Final = frozenset({"", "1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})


def read_flag(request: web.BaseRequest, name: str, *, default: bool) -> bool:
    """Whether a parameter says yes: ``?name``, ``?name=true``, ``1``, ``yes``, ``on``, or their opposites.

    Raises:
        InvalidRequest: it says something else.
    """
    value = request.query.get(name) if request.rel_url.raw_query_string else None
    if value is None:
        return default
    if value.lower() not in _YES | _NO:
        raise InvalidRequest(f"The parameter {name!r} is true or false.")
    return value.lower() in _YES


def is_asked_for(request: web.BaseRequest, name: str) -> bool:
    """Whether a parameter is there and does not say no; never an error."""
    if name not in request.rel_url.raw_query_string:  # for nearly every request there is, that is all
        return False
    return request.query.get(name, "no").lower() not in _NO


def shown_target(request: web.BaseRequest) -> str:
    """The path and what may be told of the query, as one bounded line for the log."""
    target = request.rel_url.raw_path
    if request.rel_url.raw_query_string:
        query = request.query
        known = [(name, value) for name, value in query.items() if name in KNOWN]
        parts = [urlencode(known)] if known else []
        target += "?" + "&".join(parts + (["…"] if len(known) < len(query) else []))
    return shown_path(target)


def shown_path(path: str) -> str:
    """The same of a path alone."""
    return printable(shortened(path, 500)).replace('"', "%22")

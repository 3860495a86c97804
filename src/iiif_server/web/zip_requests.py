"""What a request for an archive of originals asks for: from its query, a form, or JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus

from aiohttp import hdrs, web

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.uri import Identifier, parse_identifier

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_BODY_SECONDS: Final = 8
_MOST: Final = 10_000
"""Items of a list, and fields of a form: reading more would keep everybody else waiting."""

_WORDS: Final = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


class ZipRequest(NamedTuple):
    """What is asked for.

    Attributes:
        identifiers: in their order, repetitions included; at least one.
        stop_on_error: whether an original that fails ends it all.
        use_original_filenames: whether entries are called what the profiles call the files.
    """

    identifiers: list[Identifier]
    stop_on_error: bool
    use_original_filenames: bool


async def read_zip_request(request: web.Request, default_profile: str | None) -> ZipRequest:
    """Read the query and, of a POST, the body, whose word counts where both say something.

    Raises:
        InvalidRequest: an identifier or an option is malformed, or there are no identifiers.
        web.HTTPException: the body is too large, too slow, or of another type.
    """
    options: dict[str, object] = dict(request.query)
    identifiers = _listed(request.rel_url.raw_query_string)
    if request.method == hdrs.METH_POST:
        body = await _body(request)
        if request.content_type == _JSON:
            document = _document(body)
            options |= document
            if "identifiers" in document:
                identifiers = _texts(document["identifiers"])
        else:
            fields = [(name, unquote_plus(value)) for name, value in _fields(body.decode("utf-8", "replace"))]
            options |= dict(fields)
            # In a form, the list is encoded once more than in an address.
            identifiers = _items(value for name, value in fields if name == "identifiers") or identifiers
    if not identifiers:
        raise InvalidRequest("There are no identifiers: want identifiers=a,b,…")
    return ZipRequest(
        [parse_identifier(segment, default_profile) for segment in identifiers],
        stop_on_error=_option(options, "stop_on_error"),
        use_original_filenames=_option(options, "use_original_filenames"),
    )


def _listed(query: str) -> list[str]:
    """The identifiers of a raw query, as segments: a comma that is part of a name is percent-encoded."""
    return _items(value.replace("+", " ") for name, value in _fields(query) if name == "identifiers")


def _items(values: Iterable[str]) -> list[str]:
    """The parts of lists, each once."""
    return _bounded(dict.fromkeys(item for value in values for item in value.split(",") if item))


def _fields(text: str) -> list[tuple[str, str]]:
    """Names and encoded values of a query or a form."""
    parts = (part.partition("=") for part in _bounded(text.split("&")))
    return [(unquote_plus(name), value) for name, _, value in parts]


async def _body(request: web.Request) -> bytes:
    if request.content_type not in (_FORM, _JSON):
        raise web.HTTPUnsupportedMediaType(reason=f"Want a body of {_FORM} or {_JSON}.")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="The body did not come in time.") from None


def _document(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no JSON.") from None
    if not isinstance(document, dict):
        raise InvalidRequest('The body is no JSON object: want {"identifiers": [...]}.')
    return document


def _texts(value: object) -> list[str]:
    """The identifiers of a JSON array, as segments: there, every name is written as it is."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest("identifiers is not valid: want a list of texts.")
    return [quote(item, safe=":;=", errors="surrogatepass") for item in _bounded(value) if item]


def _bounded(items: Collection[str]) -> list[str]:
    if len(items) > _MOST:
        raise InvalidRequest("Too many images requested.")
    return list(items)


def _option(options: Mapping[str, object], name: str) -> bool:
    value = options.get(name, True)
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or (word := _WORDS.get(value.lower())) is None:
        raise InvalidRequest(f"{name} is not valid: want true or false.")
    return word

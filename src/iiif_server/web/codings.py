"""Text answers in the content coding that the client wants (RFC 9110 section 8.4)."""

from __future__ import annotations

import functools
import zlib
from hashlib import blake2b
from typing import Final

from aiohttp import hdrs, web

from iiif_server.web.negotiation import coding_qualities

CODINGS: Final = {"gzip": 31, "deflate": 15}
"""What is offered besides the body as it is, best first, and the ``wbits`` by which zlib writes it."""

MIN_BYTES: Final = 512
"""Shorter bodies are sent as they are: it would save less than 200 bytes of an answer that is one packet."""


def choose_coding(request: web.BaseRequest, length: int) -> str:
    """The coding for a body of ``length`` bytes: one of :data:`CODINGS`, or ``identity`` for none.

    A short body gets one only if the client refuses it as it is; whoever accepts nothing that is offered gets
    the body as it is.
    """
    lines = request.headers.getall(hdrs.ACCEPT_ENCODING, None)
    return _choose(None if lines is None else ",".join(lines), length < MIN_BYTES)


@functools.lru_cache(maxsize=128)  # there are few browsers
def _choose(accept_encoding: str | None, short: bool) -> str:
    qualities = coding_qualities(accept_encoding, CODINGS)
    if short and qualities["identity"]:
        return "identity"
    best = max(qualities, key=qualities.__getitem__)
    return best if qualities[best] else "identity"


def encode(body: bytes, coding: str, level: int = 6) -> bytes:
    """A body in a coding; the same bytes give the same bytes, since zlib writes no time."""
    return body if coding == "identity" else zlib.compress(body, level, CODINGS[coding])


def encode_again(body: bytes, coding: str) -> bytes:
    """The same for small bodies that are asked for repeatedly; the last ones are remembered."""
    return body if coding == "identity" else _remembered(body, coding)


_remembered = functools.lru_cache(maxsize=512)(encode)


def coding_headers(coding: str) -> dict[str, str]:
    """What tells the client the coding."""
    return {} if coding == "identity" else {hdrs.CONTENT_ENCODING: coding}


def entity_tag(media_type: str, coding: str, body: bytes) -> str:
    """A strong tag of one representation, known before anything is compressed.

    Two releases of zlib may compress differently, so the tag of what it wrote names the release.
    """
    version = "" if coding == "identity" else f"{coding} {zlib.ZLIB_RUNTIME_VERSION} "
    return blake2b(f"{version}{media_type}".encode() + body, digest_size=20).hexdigest()

"""What a client sent, recognised as a request by its head alone, before the framework sees it."""

from __future__ import annotations

import functools
import re
from typing import Final, NamedTuple

_LARGEST: Final = 4096
"""Bytes of a head; larger ones are left to the framework."""

_LINE: Final = re.compile(rb"(GET|HEAD|OPTIONS) (/[!-~]*) HTTP/1\.1")
_FIELDS: Final = re.compile(rb"(?:[!#-'*+.0-9A-Z^-z|~-]+:[\t ]*(?:[!-~][\t -~]*)?\r\n)+\r\n")
_FIELD: Final = re.compile(rb"([^:\r\n]+):[\t ]*([^\r\n]*)\r\n")
_OF_BODIES: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"trailer"})
_NO_MATTER: Final = frozenset(
    {
        *(b"user-agent", b"referer", b"origin", b"cookie", b"dnt", b"priority", b"save-data", b"pragma"),
        *(b"accept-language", b"cache-control", b"upgrade-insecure-requests", b"x-requested-with"),
        *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc"),
        *(b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform"),
        # Who is no trusted proxy is not asked for whom it speaks.
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix"),
        *(b"forwarded", b"via", b"x-real-ip", b"x-request-id"),
    }
)
"""Fields that nothing here reads, or not of strangers."""


class Wish(NamedTuple):
    """All of a request that such an answer depends on, as it came over the wire."""

    target: bytes
    host: bytes
    accept: bytes | None
    accept_encoding: bytes | None


_Told = tuple[bytes, bytes | None, bytes | None]


def read_head(data: bytes) -> Wish | bool:
    """Read what a client sent at once.

    Returns:
        the wish; ``True`` if it is the head of one request without a body that wants something else
        besides, or is refused; ``False`` if it is none, or not one, or not all of it.
    """
    if len(data) > _LARGEST:
        return False
    line, _, fields = data.partition(b"\r\n")
    read, told = _LINE.fullmatch(line), _read_fields(fields)
    if read is None or told is False:
        return False
    method, target = read.groups()
    return True if told is True or method != b"GET" or b"?" in target else Wish(target, *told)


@functools.lru_cache(maxsize=256)  # a client sends the same fields again and again
def _read_fields(fields: bytes) -> _Told | bool:
    """The values of Host, Accept and Accept-Encoding; else as :func:`read_head`."""
    if not _FIELDS.fullmatch(fields):
        return False
    wanted: dict[bytes, bytes] = {}
    is_simple = True
    for written, value in _FIELD.findall(fields):
        name = written.lower()
        if name in _OF_BODIES:
            return False
        if name in (b"host", b"accept", b"accept-encoding"):
            is_simple = is_simple and name not in wanted
            wanted[name] = value.rstrip()
        elif name not in _NO_MATTER and (name != b"connection" or value.rstrip().lower() != b"keep-alive"):
            is_simple = False
    if not is_simple or b"host" not in wanted:
        return True
    return wanted[b"host"], wanted.get(b"accept"), wanted.get(b"accept-encoding")

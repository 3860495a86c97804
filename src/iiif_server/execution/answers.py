"""The header of an answer: JSON, so that nothing a worker says is ever unpickled.

Imported by workers: no asyncio.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iiif_server.errors import IIIFServerError, RenderFailed, SourceTooLarge

_MAX_LOG = 16_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the header of an answer says.

    Attributes:
        meta: the handler's JSON object; empty if it failed.
        error: what it raised.
        rss: the worker's resident memory after the task, in bytes.
        exhausted: the worker ran out of memory and is better replaced.
    """

    meta: dict[str, Any]
    error: IIIFServerError | None
    rss: int
    exhausted: bool


def encode_success(meta: dict[str, Any], rss: int) -> bytes:
    """The header for a handler that returned."""
    return json.dumps({"meta": meta, "rss": rss}).encode()


def encode_failure(error: Exception, rss: int) -> bytes:
    """The header for a handler that raised; only our own errors speak to the client."""
    exhausted = isinstance(error, MemoryError)
    if not isinstance(error, IIIFServerError):
        log = "".join(traceback.format_exception(error))[-_MAX_LOG:]
        if exhausted:
            error = SourceTooLarge("The source needs more memory than this server allows.", log=log)
        else:
            error = RenderFailed("The image could not be made.", log=log)
    described = {
        "name": type(error).__name__,
        "public": error.public[:_MAX_LOG],
        "log": error.log[-_MAX_LOG:],
        "retry_after": error.retry_after,
    }
    return json.dumps({"error": described, "rss": rss, "exhausted": exhausted}).encode()


def decode(header: bytes) -> Answer:
    """Read a header.

    Raises:
        ValueError: it is not an answer.
    """
    try:
        fields = json.loads(header)
        described = fields.get("error")
        return Answer(
            meta=dict(fields.get("meta", {})),
            error=None if described is None else _revive(described),
            rss=int(fields["rss"]),
            exhausted=bool(fields.get("exhausted")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not an answer: {error!r}") from error


def _revive(described: dict[str, Any]) -> IIIFServerError:
    """The same error on this side of the border, of the same class if there is one of that name."""
    public, log, retry_after = str(described["public"]), str(described["log"]), described["retry_after"]
    seconds = None if retry_after is None else int(retry_after)
    name = described["name"]
    known = next((cls for cls in _descendants(IIIFServerError) if cls.__name__ == name), RenderFailed)
    try:
        return known(public, log=log, retry_after=seconds)
    except TypeError:  # a plugin's error with a constructor of its own
        return RenderFailed(public, log=log, retry_after=seconds)


def _descendants(cls: type[IIIFServerError]) -> Iterator[type[IIIFServerError]]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)

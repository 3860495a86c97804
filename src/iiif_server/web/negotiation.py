"""Content negotiation (RFC 9110 section 12.5), as far as this server offers a choice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def quality_of(accept: str, media_type: str) -> float:
    """How much an Accept header wants a media type, from 0 to 1; the most specific range decides."""
    kind = media_type.split("/", maxsplit=1)[0]
    ranks = {media_type: 3, f"{kind}/*": 2, "*/*": 1}
    best = (0, 0.0)
    for media_range, quality in _ranges(accept):
        best = max(best, (ranks.get(media_range, 0), quality if media_range in ranks else 0.0))
    return best[1]


def prefers(accept: str | None, media_type: str, *, over: str) -> bool:
    """Tell whether a client would rather have ``media_type`` than the default ``over``.

    Without an Accept header, and when it does not care, the answer is no.
    """
    if not accept:
        return False
    return quality_of(accept, media_type) > quality_of(accept, over)


def coding_qualities(accept_encoding: str | None, codings: Iterable[str]) -> dict[str, float]:
    """How much a client wants each of some content codings, from 0 to 1 (RFC 9110 section 12.5.3).

    Besides them the answer has ``identity``, the body as it is. That is acceptable unless it is refused: if a
    header does not mention it, it is the last resort. Without a header, it is all that is acceptable.
    """
    if accept_encoding is None:
        return dict.fromkeys(codings, 0.0) | {"identity": 1.0}
    wanted = {_CODING_ALIASES.get(coding, coding): quality for coding, quality in _ranges(accept_encoding)}
    others = wanted.get("*")
    as_it_is = _LAST_RESORT if others is None else others
    qualities = {coding: wanted.get(coding, others or 0.0) for coding in codings}
    return qualities | {"identity": wanted.get("identity", as_it_is)}


_CODING_ALIASES = {"x-gzip": "gzip"}

_LAST_RESORT = 0.0001
"""Less than any quality that may be written, but not refused."""


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        media_range, *parameters = part.split(";")
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.strip().partition("=")
            if name.strip().lower() == "q":
                quality = _quality(value.strip())
        yield media_range.strip().lower(), quality


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text.isascii() else 0.0
    except ValueError:
        return 0.0

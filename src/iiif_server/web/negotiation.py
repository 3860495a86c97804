"""Content negotiation (RFC 9110 section 12.5.1), as far as this server offers a choice."""

from __future__ import annotations

from collections.abc import Iterator


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

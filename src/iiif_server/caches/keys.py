"""The cache key: one digest over every input that a derivative is a function of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, cast

from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.tasks import RENDER_VERSION, RenderSettings

DIGEST_BYTES = 20


def derivative_key(
    *,
    profile: str,
    name: str,
    page: int,
    version: str,
    operation: Operation,
    settings: RenderSettings,
    renderer: str,
) -> str:
    """The key that a derivative is stored, shared and validated under.

    Args:
        profile: the profile's name.
        name: the image's name, decoded, exactly as the profile was asked for it.
        page: of the source, from 1.
        version: the source's version, which changes when its bytes change.
        operation: what is done to the image, in absolute pixels.
        settings: the configured values that change the result's bytes.
        renderer: a fingerprint of the installed codecs: another encoder makes other bytes.

    Returns:
        40 lowercase hexadecimal digits.
    """
    # JSON quotes and nests, so no two lists of inputs read alike. Nothing is folded or normalised: names that
    # merely look alike are different names. surrogatepass encodes every str there is, each in its own way.
    text = _encode([_renderer(RENDER_VERSION, renderer, settings), profile, name, page, version, operation])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(maxsize=256)
def _renderer(version: int, renderer: str, settings: RenderSettings) -> str:
    """A digest over what is the same for all images of a profile."""
    text = _encode([version, renderer, settings])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(maxsize=16)
def _values(kind: type) -> Callable[[object], Any]:
    """All fields of a dataclass in their order, so that one that is added later is never forgotten."""
    return attrgetter(*(field.name for field in fields(kind)))


def _plain(value: object) -> Any:
    """What JSON does not know."""
    if is_dataclass(value):
        return _values(cast("type", type(value)))(value)
    if isinstance(value, Decimal):
        numerator, denominator = value.as_integer_ratio()
        return numerator if denominator == 1 else [numerator, denominator]
    raise TypeError(f"a {type(value).__name__} can't be part of a cache key")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode

"""The cache key: one digest over every input that a derivative is a function of."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

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
    return _digest([RENDER_VERSION, renderer, profile, name, page, version, operation, settings])


def original_key(*, profile: str, name: str, version: str) -> str:
    """The key that a stored file is validated under: like a derivative's, and never the same as one.

    Args:
        profile: the profile's name.
        name: the image's name, decoded, exactly as the profile was asked for it.
        version: the source's version, which changes when its bytes change.

    Returns:
        40 lowercase hexadecimal digits.
    """
    return _digest(["original", profile, name, version])


def _digest(inputs: list[object]) -> str:
    # JSON quotes and nests, so no two lists of inputs read alike. Nothing is folded or normalised: names that
    # merely look alike are different names. surrogatepass encodes every str there is, each in its own way.
    text = json.dumps(inputs, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def _plain(value: object) -> Any:
    """What JSON does not know; going by the fields, so that a field added later is never forgotten."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Decimal):
        numerator, denominator = value.as_integer_ratio()
        return numerator if denominator == 1 else [numerator, denominator]
    raise TypeError(f"a {type(value).__name__} can't be part of a cache key")

"""The cache key: one digest over every input that a derivative is a function of, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, cast

from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.tasks import RENDER_VERSION, RenderSettings

DIGEST_BYTES: Final = 20
PROFILE_BYTES: Final = 4
IMAGE_BYTES: Final = 8

PROFILE_DIGITS: Final = 2 * PROFILE_BYTES
OWNER_DIGITS: Final = PROFILE_DIGITS + 2 * IMAGE_BYTES
KEY_DIGITS: Final = 2 * DIGEST_BYTES + OWNER_DIGITS
"""A key is 40 digits of its own, which spread it and tell it from every other, and 24 that tell its owner."""


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
        64 lowercase hexadecimal digits, the last 24 of which are :func:`owner_of` the image.
    """
    inputs = [_renderer(RENDER_VERSION, renderer, settings), profile, name, page, version, operation]
    return _digest(_encode(inputs), DIGEST_BYTES) + owner_of(profile, name)


def original_key(*, profile: str, name: str, version: str) -> str:
    """The key that a stored file is validated under: like a derivative's, and never the same as one.

    Args:
        profile: the profile's name.
        name: the image's name, decoded, exactly as the profile was asked for it.
        version: the source's version, which changes when its bytes change.

    Returns:
        40 lowercase hexadecimal digits.
    """
    return _digest(_encode(["original", profile, name, version]), DIGEST_BYTES)


def owner_of(profile: str, name: str) -> str:
    """What tells whose a derivative is, for the operator: 24 digits, the first 8 of which are the profile's.

    Two owners may have the same digits. They then share a fate when one is purged, which costs time only.
    """
    return profile_digits(profile) + _digest(name, IMAGE_BYTES)


@lru_cache(maxsize=256)
def profile_digits(profile: str) -> str:
    """What tells the derivatives of one profile: 8 lowercase hexadecimal digits."""
    return _digest(profile, PROFILE_BYTES)


def _digest(text: str, size: int) -> str:
    # surrogatepass encodes every str there is, each in its own way.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


@lru_cache(maxsize=256)
def _renderer(version: int, renderer: str, settings: RenderSettings) -> str:
    """A digest over what is the same for all images of a profile."""
    return _digest(_encode([version, renderer, settings]), DIGEST_BYTES)


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


# JSON quotes and nests, so no two lists of inputs read alike. Nothing is folded or normalised: names that
# merely look alike are different names.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode

"""Identifiers and image requests as path segments (Image API 3.0 sections 2, 3 and 9).

Everything is read from the raw path and percent-decoded exactly once, so that ``%2F`` in an identifier is
part of the name and not of the path.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from iiif_server.errors import InvalidRequest

MAX_IDENTIFIER_LENGTH = 1024
"""In characters, after decoding, with the profile."""

_PAGE = re.compile(r";page=([1-9][0-9]{0,4})\Z")
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class Identifier(NamedTuple):
    """What names an image on this server.

    Attributes:
        profile: where it comes from.
        name: of the image within the profile.
        page: of a source that holds several, from 1.
    """

    profile: str
    name: str
    page: int = 1

    def __str__(self) -> str:
        return _segment(self.profile, self.name, self.page)


@lru_cache(maxsize=1024)
def _segment(profile: str, name: str, page: int) -> str:
    # A name that ends like a page says which one, too, so that it is read back as it was.
    suffix = "" if page == 1 and not _PAGE.search(name) else f";page={page}"
    return quote(f"{profile}:{name}{suffix}", safe=":;=")


@lru_cache(maxsize=1024)
def parse_identifier(segment: str, default_profile: str | None) -> Identifier:
    """Read ``<profile>:<name>`` or, under a default profile, ``<name>`` from one raw path segment.

    The profile ends at the first colon, so a name may hold more of them. ``;page=<number>`` at the end names
    a page. An empty profile or name comes back as it is: the look-up that follows does not find it.

    Raises:
        InvalidRequest: broken percent-encoding, not UTF-8, too long, or with control characters in it.
    """
    text = decode_segment(segment)
    # With its profile, as info.json states it: what is served must be found again by its own words.
    whole = text if ":" in text else f"{default_profile or ''}:{text}"
    if len(whole) > MAX_IDENTIFIER_LENGTH:
        raise InvalidRequest(f"The identifier is longer than {MAX_IDENTIFIER_LENGTH} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidRequest("The identifier has control characters in it.")
    return split_identifier(text, default_profile)


def split_identifier(text: str, default_profile: str | None) -> Identifier:
    """Read an identifier from text that is decoded already."""
    profile, colon, name = text.partition(":")
    if not colon:
        profile, name = default_profile or "", text
    if (page := _PAGE.search(name)) is not None:
        return Identifier(profile, name[: page.start()], int(page[1]))
    return Identifier(profile, name)


def decode_segment(segment: str) -> str:
    """Percent-decode one raw path segment, once.

    Raises:
        InvalidRequest: an incomplete escape, or bytes that are not UTF-8.
    """
    if "%" not in segment and segment.isascii():
        return segment
    if _BROKEN_ESCAPE.search(segment):
        raise InvalidRequest("The address has an incomplete percent escape in it; write % itself as %25.")
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeError:  # surrogates from a raw path that was no UTF-8 end here as well
        raise InvalidRequest("The address is not UTF-8.") from None

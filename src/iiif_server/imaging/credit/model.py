"""The rights and the credit of an image, named as in the IPTC Photo Metadata Standard; nothing else is kept.

No place, no date, no camera, no serial number, no thumbnail, no orientation: what this holds is all that
``metadata: keep`` can ever put into a derivative.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

MAX_TEXT = 1000
"""Characters of one text. IPTC-IIM allows 128 for a copyright notice; each tile carries what is kept."""
MAX_NAMES = 10
"""Creators, or copyright owners, that are kept."""

# Control characters, line ends, surrogates and what XML 1.0 (section 2.2) can't hold; a run makes one space.
_UNWANTED = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Credit:
    """What identifies rights and credit of an image; texts are clean and bounded however they come in.

    Attributes:
        creators: who made the image. XMP ``dc:creator``, IIM 2:80, EXIF Artist.
        copyright_notice: XMP ``dc:rights``, IIM 2:116, EXIF Copyright.
        copyright_owners: their names. XMP ``plus:CopyrightOwner``, else ``xmpRights:Owner``.
        credit_line: how to credit whoever supplied it. XMP ``photoshop:Credit``, IIM 2:110.
        source: whom it comes from. XMP ``photoshop:Source``, IIM 2:115.
        usage_terms: XMP ``xmpRights:UsageTerms``.
        web_statement: the URL of a web statement of rights. XMP ``xmpRights:WebStatement``.
        licensor_name: of the first licensor. XMP ``plus:Licensor``.
        licensor_url: where that licensor grants licences.
        license_url: the licence itself. XMP ``cc:license``, of Creative Commons, not of the standard.
    """

    creators: tuple[str, ...] = ()
    copyright_notice: str = ""
    copyright_owners: tuple[str, ...] = ()
    credit_line: str = ""
    source: str = ""
    usage_terms: str = ""
    web_statement: str = ""
    licensor_name: str = ""
    licensor_url: str = ""
    license_url: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _clipped(value) if isinstance(value, str) else _names(value))

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def or_else(self, other: Credit) -> Credit:
        """This credit, with what it lacks taken from another."""
        return Credit(
            **{field.name: getattr(self, field.name) or getattr(other, field.name) for field in fields(self)}
        )


def plain(text: str) -> str:
    """The text without control characters, on one line."""
    return _UNWANTED.sub(" ", text).strip(" ")


def decoded(data: bytes) -> str:
    """Text of an unstated encoding: UTF-8 if it can be, else what Western systems wrote; never an error."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _clipped(text: str) -> str:
    text = plain(text[: 8 * MAX_TEXT])
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1].rstrip(" ") + "…"


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The first names, each once."""
    return tuple(dict.fromkeys(filter(None, map(_clipped, names))))[:MAX_NAMES]


NO_CREDIT = Credit()
"""What most images have."""

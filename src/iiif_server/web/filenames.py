"""Names for downloaded files: readable, safe on every file system, and safe in a header.

Pure functions, of names that come from anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote

from iiif_server.iiif.parameters import Quality, format_decimal
from iiif_server.iiif.resolve import Operation

MAX_BYTES: Final = 200
"""The most that a file's name takes in UTF-8; file systems allow 255, and people add to names."""

_NAMELESS = "image"
_FORBIDDEN = re.compile(r"[/\\:*?\"<>|]")
_JOINERS = "\u200c\u200d"  # without these, words of some scripts and many emoji fall apart
_IMAGE_SUFFIX = re.compile(
    r"\.(?:jpe?g|jpe|mpo|jfif|png|tiff?|webp|gif|bmp|jp2|j2k|jpx|jpf|avif|hei[cf]|svg|pdf|dng|psd)",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}\Z", re.ASCII)
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)
_ATTR_CHARS = "!#$&+^`|"  # with what quote() never touches: RFC 8187 section 3.2.1
_NOT_PLAIN = re.compile(r"[^ -~]|[\"\\%/:*?<>|]")


def split_suffix(name: str) -> tuple[str, str]:
    """A file's name and its suffix, with the dot; what follows a dot in words is no suffix."""
    match = _SUFFIX.search(name, 1)
    return (name[: match.start()], match[0]) if match else (name, "")


def stem_of(name: str) -> str:
    """A file's name without the suffix of an image format, if it has one."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and _IMAGE_SUFFIX.fullmatch(dot + suffix) else name


def describe(operation: Operation, page: int = 1) -> str:
    """What of the source a derivative shows, in a few words; empty if it is all of its first page as it is.

    For example ``0,0,512,512 to 256,256 mirrored rotated 90 gray``.
    """
    region, size = operation.region, operation.size
    words = [] if page == 1 else [f"page {page}"]
    if not operation.is_full_region:
        words.append("{},{},{},{}".format(*region))
    if size != region.size:
        words.append("to {},{}".format(*size))
    if operation.rotation.mirror:
        words.append("mirrored")
    if operation.rotation.degrees:
        words.append(f"rotated {format_decimal(operation.rotation.degrees)}")
    if operation.quality is not Quality.DEFAULT:
        words.append(str(operation.quality))
    return " ".join(words)


def safe_filename(stem: str, suffix: str, description: str = "") -> str:
    """A file name that any system takes: of at most 200 bytes in UTF-8, never empty, hidden or a device.

    Args:
        stem: what the file is called, whatever that may contain. Where the name gets too long, this is cut.
        suffix: the ending with its dot, or nothing.
        description: is added in parentheses, if there is one.
    """
    suffix = _clean(suffix).strip(". ")
    ending = f" ({_clean(description)})" if description else ""
    ending = _cut(ending + (f".{suffix}" if suffix else ""), MAX_BYTES - len(_NAMELESS) - 1)
    stem = _clean(stem).strip(". " + _JOINERS) or _NAMELESS
    if _DEVICE.match(stem):
        stem = f"_{stem}"
    stem = _cut(stem, MAX_BYTES - len(ending.encode())).rstrip(". ")
    return (stem + ending).rstrip(". ")


def content_disposition(kind: Literal["attachment", "inline"], filename: str) -> str:
    """The header that names a file (RFC 6266); ``filename`` comes from :func:`safe_filename`.

    A name that ASCII can't tell is said twice: approximately for old clients, and exactly (RFC 8187).
    """
    plain = filename
    if not filename.isascii():
        decomposed = unicodedata.normalize("NFD", filename)
        plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    plain = _NOT_PLAIN.sub("_", plain)
    header = f'{kind}; filename="{plain}"'
    return header if plain == filename else f"{header}; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS)}"


def _clean(text: str) -> str:
    """Spaces for white space, nothing for what is invisible, underscores for what paths are made of."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_visible, unicodedata.normalize("NFC", text)))
    return _FORBIDDEN.sub("_", " ".join(text.split()))


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    # Control characters, lone surrogates, and marks that turn the direction of writing or hide.
    hidden = unicodedata.category(character) in ("Cc", "Cs", "Cf") and character not in _JOINERS
    return "" if hidden else character


def _cut(text: str, length: int) -> str:
    """At most so many bytes of UTF-8, of whole characters."""
    return text.encode()[:length].decode(errors="ignore")

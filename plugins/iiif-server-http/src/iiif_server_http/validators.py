"""What an answer's headers say of the image: its version, its name, and what to ask by the next time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote

from yarl import URL

_ETAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e]{1,500}"')
_SURE_SECONDS: Final = 60
"""A date that is older than the answer by this much changes with the image (RFC 9110, section 8.8.2.2)."""

_LONGEST_NAME: Final = 200


def notes_of(url: URL, headers: Mapping[str, str]) -> dict[str, str]:
    """What to keep of an answer, to ask by it the next time: well-formed validators, and whose they are.

    Args:
        url: that was answered. Only a digest is kept of it, for there may be secrets in it.
        headers: of the answer.
    """
    notes = {"url": digest(str(url))}
    if _ETAG.fullmatch(etag := headers.get("ETag", "").strip()):
        notes["etag"] = etag
    if date_of(headers, "Last-Modified") is not None:
        notes["modified"] = headers["Last-Modified"].strip()
    return notes


def conditions(url: URL, notes: Mapping[str, str]) -> dict[str, str]:
    """Headers that ask whether an image changed (RFC 9110, section 13.1), if the notes are of this URL."""
    if notes.get("url") != digest(str(url)):
        return {}
    named = {"If-None-Match": notes.get("etag"), "If-Modified-Since": notes.get("modified")}
    return {header: value for header, value in named.items() if value}


def is_other(notes: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """Whether an answer's headers name another image than the notes do."""
    there = notes_of(URL(), headers)
    if "etag" in notes and "etag" in there:
        return notes["etag"].removeprefix("W/") != there["etag"].removeprefix("W/")
    return notes.get("modified", "") != there.get("modified", notes.get("modified", ""))


def version_of(headers: Mapping[str, str], size: int) -> str | None:
    """A version that changes with the bytes, if the origin names one: a strong ETag, or a date that is sure.

    A weak ETag stays the same for bytes that differ, and a date of this minute for two changes in a second.
    """
    etag = headers.get("ETag", "").strip()
    if _ETAG.fullmatch(etag) and not etag.startswith("W/"):
        return "e-" + digest(f"{size} {etag}")
    modified, sent = date_of(headers, "Last-Modified"), date_of(headers, "Date")
    if modified is not None and sent is not None and sent - modified >= _SURE_SECONDS:
        return "m-" + digest(f"{size} {modified:.0f}")
    return None


def date_of(headers: Mapping[str, str], name: str) -> float | None:
    """A header's date in seconds since the epoch; ``None`` if it is none."""
    text = headers.get(name, "").strip()
    if not text.isascii() or not text.isprintable():
        return None
    try:
        date: datetime = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def filename_of(url: URL, headers: Mapping[str, str], otherwise: str) -> str:
    """What a download is called: as the origin says, as the URL ends if that looks like a file, or else.

    Args:
        url: of the image.
        headers: of the answer; Content-Disposition counts.
        otherwise: the image's name; its last part is taken.
    """
    message = Message()
    message["Content-Disposition"] = "".join(headers.get("Content-Disposition", "").splitlines())
    last = unquote(url.raw_path.rpartition("/")[2])
    for name in (message.get_filename() or "", last if "." in last else "", otherwise):
        if plain := _plain(name):
            return plain
    return "image"


def digest(text: str) -> str:
    """A short text that stands for a longer one."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(name: str) -> str:
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return "".join(each for each in last if each.isprintable()).strip(" .")[-_LONGEST_NAME:]

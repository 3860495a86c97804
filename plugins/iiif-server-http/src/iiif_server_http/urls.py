"""From an image's name to a URL that the operator meant, or to nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final
from urllib.parse import quote, unquote

from yarl import URL

from iiif_server.api import ImageNotFound

_LONGEST: Final = 2000
"""Bytes of a name."""

_PLACEHOLDER: Final = re.compile(r"\{(name|path)\}")
_SPLIT: Final = re.compile(r"[/\\]")
_URL: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][^#\s\\]*)?")
_KEPT: Final = "/?:@!$&'()*+,;=-._~%[]"
"""What stands for itself in the rest of a URL."""


class Template:
    """A URL with a place for the name: ``{name}``, or ``{path}`` where slashes stay slashes.

    Raises:
        ValueError: it is no URL that can be used.
    """

    def __init__(self, template: str) -> None:
        sample = parse(_PLACEHOLDER.sub("x", template))
        authority = template.partition("://")[2].partition("/")[0].partition("?")[0]
        if len(_PLACEHOLDER.findall(template)) != 1 or _PLACEHOLDER.search(authority) or "{" in authority:
            raise ValueError("want {name} or {path} once in the URL, behind the host")
        self.origin = origin_of(sample)
        self.space = blake2b(template.encode(), digest_size=8).hexdigest()
        self._template = quote(template, safe=_KEPT + "{}")

    def url(self, name: str) -> URL:
        """The URL of an image.

        Raises:
            ImageNotFound: no image has such a name.
        """
        _check(name)
        if {"", ".", ".."} & set(_SPLIT.split(name)):
            raise _not_found(name)

        def put(match: re.Match[str]) -> str:
            return quote(name, safe="/" if match[1] == "path" else "")

        return URL(_PLACEHOLDER.sub(put, self._template), encoded=True)

    def allows(self, url: URL) -> bool:
        """Whether a redirect may lead there: to the same origin."""
        return origin_of(url) == self.origin


class AllowList:
    """URLs that begin with one of these: the origin is the same, and the path begins with theirs."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = [parse(prefix) for prefix in prefixes]
        self.origins = {origin_of(prefix) for prefix in self._prefixes}
        self.space = "allow"

    def url(self, name: str) -> URL:
        """The URL that a name is.

        Raises:
            ImageNotFound: it is none, or none that is allowed.
        """
        _check(name)
        try:
            url = parse(name)
        except ValueError:
            raise _not_found(name) from None
        if not self.allows(url):
            raise _not_found(name)
        return url

    def allows(self, url: URL) -> bool:
        """Whether a URL begins as one of the list does, and does not climb out of it."""
        return _stays(url.raw_path) and any(
            origin_of(url) == origin_of(prefix) and url.raw_path.startswith(prefix.raw_path)
            for prefix in self._prefixes
        )


def parse(text: str) -> URL:
    """Read a URL strictly: http or https, a plain host, no credentials, no fragment.

    Other characters than ASCII are percent-encoded in path and query, and refused in the host.

    Raises:
        ValueError: it is no such URL.
    """
    if not _URL.fullmatch(text):
        raise ValueError("want an http or https URL with a host in ASCII, without credentials or fragment")
    scheme, _, rest = text.partition("://")
    url = URL(f"{scheme}://{quote(rest, safe=_KEPT)}", encoded=True)
    if not url.host or url.user is not None or url.password is not None:
        raise ValueError("want a URL with a host and without credentials")
    if url.explicit_port is not None and not 0 < url.explicit_port < 65536:
        raise ValueError("want a port from 1 to 65535")
    return url if url.raw_path else url.with_path("/")


def origin_of(url: URL) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454), comparable however they were written."""
    return url.scheme.lower(), (url.raw_host or "").lower(), url.port


def shown(url: URL) -> str:
    """A URL as the log may show it: without query, where secrets are."""
    return str(url.with_query(None).with_fragment(None).with_user(None))[:500]


def _check(name: str) -> None:
    """Refuse what is no name anywhere: what can't be sent, and what climbs, in whatever disguise."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise _not_found(name) from None
    if not name or size > _LONGEST or not _stays(name):
        raise _not_found(name)


def _stays(path: str) -> bool:
    """Whether a path has no ``..`` and no control character, however often it is decoded or normalised."""
    seen = None
    while seen != path:
        seen = path
        plain = unicodedata.normalize("NFKC", path)
        if {".", ".."} & set(_SPLIT.split(plain)) or any(
            unicodedata.category(each) == "Cc" for each in plain
        ):
            return False
        path = unquote(path)
    return True


def _not_found(name: str) -> ImageNotFound:
    return ImageNotFound(log=f"a name that is not looked up: {name[:200]!r}")

"""How this server is addressed from outside, and raw path segments of a request."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.uri import Identifier

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?", re.ASCII)

API_PATH = "/iiif/{number}"
"""The path of one version of the Image API; the default one is served at the root as well."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class PublicUrls:
    """Builds the URLs that clients read in documents and headers.

    Attributes:
        base_url: the configured base URL without a trailing slash, ``None`` to derive it from each request.
        trusted_proxies: from where ``X-Forwarded-*`` is believed.
    """

    base_url: str | None = None
    trusted_proxies: tuple[Network, ...] = ()

    def base(self, request: web.Request) -> str:
        """Scheme, host and prefix under which this request came in, without a trailing slash.

        Raises:
            InvalidRequest: the Host header is no host.
        """
        if self.base_url is not None:
            return self.base_url
        scheme, host, prefix = request.scheme, request.host, ""
        if self.is_from_proxy(request):
            headers = request.headers
            scheme = _first(headers.get("X-Forwarded-Proto")) or scheme
            host = _first(headers.get("X-Forwarded-Host")) or host
            prefix = _first(headers.get("X-Forwarded-Prefix")).rstrip("/")
        return _checked_base(scheme, host, prefix)

    def plain_base(self, host: str) -> str:
        """The same of a request over HTTP that came to a host, and not from a proxy.

        Raises:
            InvalidRequest: the host is none.
        """
        return _checked_base("http", host, "") if self.base_url is None else self.base_url

    def image_id(self, request: web.Request, identifier: Identifier, path: str) -> str:
        """The base URI of an image under an API path, which is empty at the root."""
        return f"{self.base(request)}{path}/{identifier}"

    def is_from_proxy(self, request: web.BaseRequest) -> bool:
        """Whether a request comes from a trusted proxy, whose word is taken."""
        if not self.trusted_proxies or not request.remote:
            return False
        return self.is_proxy(request.remote)

    def client(self, request: web.BaseRequest) -> str:
        """The address that a request comes from, as far as it can be believed; empty if that is unknown.

        Proxies add to the right of ``X-Forwarded-For``: it is the last one there that is no trusted proxy's.
        """
        address = request.remote or ""
        if not self.is_from_proxy(request):
            return address
        told = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        for item in reversed(told):
            try:
                hop = str(ipaddress.ip_address(item.strip()))
            except ValueError:
                return address
            if "%" in hop:  # a zone, which may be any text, and means nothing beyond its machine
                return address
            address = hop
            if not self.is_proxy(hop):
                break
        return address

    def is_proxy(self, text: str) -> bool:
        """Whether an address is a trusted proxy's."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self.trusted_proxies)


@lru_cache(maxsize=256)
def _checked_base(scheme: str, host: str, prefix: str) -> str:
    if scheme not in ("http", "https") or not _HOST.fullmatch(host) or not _PREFIX.fullmatch(prefix):
        raise InvalidRequest("The Host header is not valid.")
    return f"{scheme}://{host}{prefix}"


def raw_segments(request: web.Request, count: int) -> list[str]:
    """The last ``count`` segments of the path, still percent-encoded."""
    return request.rel_url.raw_path.split("/")[-count:]


def _first(header: str | None) -> str:
    """The first of a header's comma-separated values: what the outermost proxy saw."""
    return header.split(",")[0].strip() if header else ""

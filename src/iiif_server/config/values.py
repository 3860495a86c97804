"""The types of single values in the configuration: how each is read and what is said when it can't be."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _parse_network(value: object) -> Network:
    if isinstance(value, Network):
        return value
    wanted = "want an IP address or network such as '10.0.0.0/8'"
    if not isinstance(value, str):
        raise ValueError(wanted)  # noqa: TRY004 - pydantic collects ValueError only
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        raise ValueError(wanted) from None
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        # Most likely a slip, and trusting a wider network than was meant is not what a slip should do.
        raise ValueError(f"want a network without host bits, such as '{network}'") from None


def _strip_base_url(value: str) -> str:
    wanted = "want an http:// or https:// address without query, fragment or credentials"
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        valid = False
    if not valid or re.search(r"[\s?#@\\\"<>\x00-\x1f]", value):
        raise ValueError(wanted)
    return value.rstrip("/")


TrustedNetwork = Annotated[
    Network,
    PlainValidator(_parse_network),
    WithJsonSchema({"type": "string", "x-type": "IP addresses or networks"}),
]
Positive = Annotated[int, Field(ge=1)]
BaseUrl = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_strip_base_url)]

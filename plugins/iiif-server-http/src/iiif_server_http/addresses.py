"""Which addresses may be connected to: those of the public internet, and what the operator allows besides.

The ranges are those of the IANA special-purpose registries (RFC 6890). They are written out here, because
what ``ipaddress.is_global`` says differs between versions of Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NOT_PUBLIC: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds have their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

_UNICAST: Final = IPv6Network("2000::/3")
"""All that is global in IPv6. What lies outside (loopback, link-local, unique local, multicast) is not."""

_NOT_PUBLIC_6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo
        "2001:db8::/32",
        "3fff::/20",
    )
)

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_6TO4: Final = IPv6Network("2002::/16")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_LOW: Final = 0xFFFFFFFF


def is_allowed(address: str, private: Sequence[Network] = ()) -> bool:
    """Whether an address may be connected to.

    Args:
        address: in numbers; a scope (``fe80::1%eth0``) is looked away from.
        private: networks that are allowed although they are not public.

    Raises:
        ValueError: it is no address.
    """
    return all(_is_public(form) or _is_in(form, private) for form in _forms(address))


def _forms(text: str) -> Iterator[Address]:
    """What packets to an address may reach: an IPv4 address in IPv6's clothes is that IPv4 address."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        yield address
        return
    value = int(address)
    if value > 1 and any(address in wrap for wrap in (_MAPPED, _COMPATIBLE, _TRANSLATED, _NAT64)):
        yield IPv4Address(value & _LOW)
    elif address in _6TO4:
        yield IPv4Address(value >> 80 & _LOW)
    else:
        yield address
        if value >> 32 & _LOW in _ISATAP:
            yield IPv4Address(value & _LOW)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _is_in(address, _NOT_PUBLIC)
    return address in _UNICAST and not _is_in(address, _NOT_PUBLIC_6)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
